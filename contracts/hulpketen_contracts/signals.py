"""Signals (signalen): somebody sees that a household may be in trouble with money."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.event import Event
from hulpketen_contracts.values import Code, Day, Euros, Id, Municipality, OrganisationId, PartnerType, SubjectKind


class SignalReceived(Event):
    """Intake took a signal of a partner about a person or an address."""

    TYPE = "nl.hulpketen.signals.received.v1"
    TOPIC = "signals"
    KEY = "person"
    ACTIVITY = "receive-signals"

    signal: Id
    person: Id
    subject_kind: SubjectKind
    municipality: Municipality
    sender: OrganisationId
    partner_type: PartnerType
    amount: Euros | None = None
    arisen_on: Day | None = None
    signalled_on: Day
    crisis: bool
    warm_transfer: bool


class SignalRefused(Event):
    """Intake refused a signal, and says why; it kept nothing of the person."""

    TYPE = "nl.hulpketen.signals.refused.v1"
    TOPIC = "signals"
    KEY = "signal"
    ACTIVITY = "receive-signals"

    signal: Id
    municipality: Municipality | None = None
    sender: OrganisationId
    reasons: Annotated[list[Code], Field(min_length=1, max_length=50)]


class SignalWithdrawn(Event):
    """The sender took a signal back."""

    TYPE = "nl.hulpketen.signals.withdrawn.v1"
    TOPIC = "signals"
    KEY = "person"
    ACTIVITY = "withdraw-signals"

    signal: Id
    person: Id
    municipality: Municipality
    sender: OrganisationId
    reason: Code
