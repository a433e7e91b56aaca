"""Deadlines (termijnen) of a case."""

from __future__ import annotations

from hulpketen_contracts.event import Event
from hulpketen_contracts.values import Code, Day, Id, Municipality


class Deadline(Event):
    """A term of a case: which clock, and the last day."""

    TOPIC = "cases"
    KEY = "person"
    ACTIVITY = "watch-deadlines"

    case: Id
    person: Id
    municipality: Municipality
    clock: Code
    due_on: Day


class DeadlineApproaching(Deadline):
    """The last day comes near, and what is due has not been done."""

    TYPE = "nl.hulpketen.deadlines.approaching.v1"


class DeadlinePassed(Deadline):
    """The last day is over, and what was due has not been done."""

    TYPE = "nl.hulpketen.deadlines.passed.v1"
