"""Persons, by pseudonym: one person within one municipality."""

from __future__ import annotations

from hulpketen_contracts.event import Event
from hulpketen_contracts.values import Id


class PersonMerged(Event):
    """Two pseudonyms turned out to be one person: from now on `person` is an alias of `into`."""

    TYPE = "nl.hulpketen.persons.merged.v1"
    TOPIC = "signals"
    KEY = "person"
    ACTIVITY = "merge-persons"

    person: Id
    into: Id


class PersonErased(Event):
    """The key and hashes of a person are gone; every service forgets what it holds (AVG, art. 17)."""

    TYPE = "nl.hulpketen.persons.erased.v1"
    TOPIC = "signals"
    KEY = "person"
    ACTIVITY = "erase-persons"

    person: Id
