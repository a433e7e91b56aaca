"""A made-up directory, and events about made-up persons."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hulpketen_contracts import (
    ChoiceConfirmed,
    Decoded,
    Envelope,
    Event,
    OrganisationChanged,
    ServiceChanged,
    SignalReceived,
    SignalWithdrawn,
)

from services.chassis.pipeline.model import Context, Decision, State
from services.matching.domain.cases import World
from services.matching.domain.directory import Directory
from services.matching.domain.policy import Policy
from services.matching.events import handlers

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ASSEN = "0106"
PERSON = "6b1f7f0a-3c58-4d8e-9b57-0a4a5a1c0001"
GKB, MAATJES, FONDS, VOEDSELBANK, FIKKS, SELF = "gkb", "maatjes", "fonds", "voedselbank", "fikks", "geldwijzer"
MUNICIPAL, LOCAL = "gemeentelijke-schuldhulpverlening", "lokale-vrijwilliger-of-professional"


def service(id: str, kind: str, *exits: str, **fields: Any) -> ServiceChanged:
    plain: dict[str, Any] = {
        "service": id,
        "organisation": f"{id}-voorbeeld",
        "name": id.title(),
        "status": "active",
        "municipalities": [ASSEN],
        "kind": kind,
        "exits": list(exits),
        "capacity": "capacity",
    }
    return ServiceChanged.model_validate(plain | fields)


SERVICES = (
    service(GKB, "debt-counselling", MUNICIPAL, LOCAL, minimum_age=18),
    service(MAATJES, "volunteers", LOCAL, minimum_age=18),
    service(FONDS, "fund", LOCAL, minimum_age=4, maximum_age=17),
    service(VOEDSELBANK, "food-bank", MUNICIPAL, LOCAL, capacity="waitlist"),
    service(FIKKS, "digital", "digitale-vrijwilliger"),
    service(SELF, "self-help", "zelfhulp"),
)
MUNICIPALITY = OrganisationChanged(
    organisation="gemeente-assen", name="Gemeente Assen (voorbeeld)", kind="municipality", municipalities=[ASSEN]
)
DIRECTORY = Directory({each.service: each for each in SERVICES}, {MUNICIPALITY.organisation: MUNICIPALITY})


def directory(*changed: ServiceChanged) -> Directory:
    """The made-up directory with these services in it, or instead."""
    return DIRECTORY.changed(changed)


def context(cause: str = "cause", now: datetime = NOW) -> Context:
    return Context(now, cause)


def world(cause: str = "cause", *, at: Directory = DIRECTORY, now: datetime = NOW) -> World:
    return World(context(cause, now), at, Policy())


def signal(**fields: Any) -> SignalReceived:
    plain: dict[str, Any] = {
        "signal": str(uuid.uuid4()),
        "person": PERSON,
        "subject_kind": "person",
        "municipality": ASSEN,
        "sender": "woonborg-voorbeeld",
        "partner_type": "Huur",
        "amount": 400,
        "signalled_on": NOW.date(),
        "crisis": False,
        "warm_transfer": False,
    }
    return SignalReceived.model_validate(plain | fields)


def withdrawal(of: SignalReceived) -> SignalWithdrawn:
    return SignalWithdrawn(
        signal=of.signal, person=of.person, municipality=of.municipality, sender=of.sender, reason="paid"
    )


def choice(**fields: Any) -> ChoiceConfirmed:
    plain: dict[str, Any] = {
        "test": str(uuid.uuid4()),
        "person": PERSON,
        "municipality": ASSEN,
        "service": MAATJES,
        "exit": LOCAL,
        "crisis": False,
        "confirmed_by": "resident",
    }
    return ChoiceConfirmed.model_validate(plain | fields)


def later(days: int) -> date:
    return NOW.date() + timedelta(days=days)


class Played:
    """A file that events happen to, through the handlers of the service. No state that was given may be changed."""

    def __init__(self, at: Directory = DIRECTORY, policy: Policy | None = None) -> None:
        self.at = at
        self.state: State | None = None
        self.handlers = handlers(lambda: self.at, policy or Policy())
        self.told: list[Event] = []

    def take(self, event: Event) -> list[Event]:
        """Let an event happen; the events that follow."""
        cause = str(uuid.uuid4())
        envelope = Envelope(
            id=cause, source="urn:nld:oin:00000099000000000001:systeem:hulpketen-intake", type=event.TYPE, time=NOW
        )
        before = copy.deepcopy(self.state)
        decision = self.handlers[type(event)].decide(self.state, Decoded(envelope, event), Context(NOW, cause))
        assert self.state == before
        return self.accept(decision)

    def accept(self, decision: Decision | None) -> list[Event]:
        """Take a decision over; the events that follow."""
        if decision is None:
            return []
        self.state = None if decision.erase else decision.state
        follows = [emit.event for emit in decision.events]
        self.told += follows
        return follows

    @property
    def case(self) -> dict[str, Any]:
        """The last case."""
        assert self.state
        last: dict[str, Any] = self.state["cases"][-1]
        return last

    @property
    def referral(self) -> dict[str, Any]:
        """The last referral."""
        assert self.state
        last: dict[str, Any] = self.state["referrals"][-1]
        return last


def types(events: Sequence[Event]) -> list[str]:
    """Short names of the types of events."""
    return [event.TYPE.removeprefix("nl.hulpketen.").removesuffix(".v1") for event in events]
