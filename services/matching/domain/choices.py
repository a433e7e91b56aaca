"""A resident's choice after the test: a person's decision, so that it makes a referral."""

from __future__ import annotations

from hulpketen_contracts import ChoiceConfirmed

from services.chassis.pipeline.model import Decision, State
from services.matching.domain.cases import World, as_decision, case_for, file_of, tell
from services.matching.domain.file import (
    NO_MUNICIPALITY,
    NO_SIGNALS_LEFT,
    NOT_OFFERED,
    Case,
    with_flag,
    without_flags,
)
from services.matching.domain.referrals import Wanted, add, running_to


def take(state: State | None, event: ChoiceConfirmed, world: World) -> Decision:
    """The choice opens or joins the case and makes the referral.

    Where the service is gone by then, or nobody is known to refer on the resident's behalf, the case is flagged for a
    human. Where a referral to that service is under way already, that one stands.
    """
    file = file_of(state, event.person, event.municipality, "person")
    case, opened = case_for(file, world.context)
    author = event.confirmed_by_organisation or world.directory.municipality_of(event.municipality)
    offered = world.directory.offers(event.service, event.municipality) is not None
    asked = _asked(case, event)
    if not offered or author is None:
        asked = with_flag(asked, NO_MUNICIPALITY if offered else NOT_OFFERED, event.service)
    file, events = tell(file, asked, opened, None, world)
    if offered and author is not None and running_to(file, case["id"], event.service) is None:
        file, made, _ = add(file, case["id"], Wanted(event.service, event.confirmed_by, author), world)
        events.append(made)
    return as_decision(file, events)


def _asked(case: Case, event: ChoiceConfirmed) -> Case:
    """The case of a resident who asks for help: no repeated signal any more, whatever the signals say."""
    asked: Case = {
        **case,
        "asked": True,
        "exit": event.exit,
        "crisis": case["crisis"] or event.crisis,
        "repeated": False,
    }
    if event.crisis:
        asked["asked_crisis"] = True
    return without_flags(asked, NO_SIGNALS_LEFT)
