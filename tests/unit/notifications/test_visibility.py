"""Who sees what: each row of the table, and that nothing personal goes out by any of them."""

from __future__ import annotations

from typing import Any

import pytest
from hulpketen_contracts import (
    CATALOGUE,
    CaseClosed,
    CaseOpened,
    CaseUpdated,
    DeadlinePassed,
    Event,
    HelpEnded,
    HelpStarted,
    OrganisationChanged,
    PartnerCaseChanged,
    PartnerReferralChanged,
    ReferralAccepted,
    ReferralCancelled,
    ReferralDeclined,
    ReferralExpired,
    ReferralMade,
    ReferralState,
    ReferralWaitlisted,
)
from hulpketen_contracts.cases import CaseState
from hulpketen_contracts.values import OrganisationKind

from services.notifications.domain import file
from services.notifications.domain.directory import Directory, organisation_changed
from services.notifications.domain.visibility import VISIBLE, Role, own_feed, readers
from tests.unit.notifications.events import AT, CASE, PERSON, REFERRAL, case, proposed, referral

MUNICIPALITY, SENDER, RECEIVER = "municipality-0106", "wijkteam", "maatjes"
REFERRALS: list[tuple[type[ReferralState], str, str]] = [
    (ReferralMade, "made", "referrals.made"),
    (ReferralAccepted, "accepted", "referrals.accepted"),
    (ReferralDeclined, "declined", "referrals.declined"),
    (ReferralWaitlisted, "waitlisted", "referrals.waitlisted"),
    (ReferralCancelled, "cancelled", "referrals.cancelled"),
    (ReferralExpired, "expired", "referrals.expired"),
    (HelpStarted, "started", "help.started"),
    (HelpEnded, "ended", "help.ended"),
]


def lines(event: Event, state: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The data of each line, by feed, as it goes out."""
    decision = file.decide(state, event, own_feed)
    assert decision is not None
    return {
        (e.topic or "").removeprefix("partners."): e.event.model_dump(mode="json", by_alias=True, exclude_none=True)
        for e in decision.events
    }


@pytest.mark.parametrize(("kind", "status", "change"), REFERRALS)
def test_a_referral_is_seen_by_its_municipality_and_both_sides_in_every_state(
    kind: type[ReferralState], status: str, change: str
) -> None:
    found = lines(referral(kind, status=status, reason="capacity", version=2))
    assert set(found) == {MUNICIPALITY, SENDER, RECEIVER}
    for line in found.values():
        assert (line["change"], line["status"], line["version"], line["reason"]) == (change, status, 2, "capacity")
    assert found[MUNICIPALITY]["case"] == CASE
    assert "case" not in found[SENDER] | found[RECEIVER]


@pytest.mark.parametrize("kind", [CaseOpened, CaseUpdated, CaseClosed])
def test_a_case_is_seen_by_its_municipality_alone(kind: type[CaseState]) -> None:
    assert set(lines(case(kind))) == {MUNICIPALITY}


def test_proposals_go_to_the_municipality_with_what_is_known_of_the_case() -> None:
    opened = file.decide(None, case(crisis=True), own_feed)
    assert opened
    line = lines(proposed(), opened.state)[MUNICIPALITY]
    assert line["change"] == "referrals.proposed"
    assert line["crisis"] is True
    assert line["proposals"][0]["service"] == "maatjes-thuis"


def test_flags_go_to_the_municipality_and_stay_with_proposals() -> None:
    flagged = file.decide(None, case(flags=["choice-not-offered"]), own_feed)
    assert flagged
    assert flagged.events[0].event.model_dump()["flags"] == ["choice-not-offered"]
    assert lines(proposed(), flagged.state)[MUNICIPALITY]["flags"] == ["choice-not-offered"]


def test_proposals_for_a_case_that_was_skipped_show_nothing_and_stop_nothing() -> None:
    assert file.decide(None, proposed(), own_feed) is None


def test_a_deadline_goes_to_nobody() -> None:
    deadline = DeadlinePassed(case=CASE, person=PERSON, municipality="0106", clock="first-talk", due_on=AT.date())
    assert file.decide(None, deadline, own_feed) is None
    assert readers(deadline, own_feed) == {}


def test_every_event_of_cases_is_in_the_table_or_known_to_go_to_nobody() -> None:
    events = {event for event in CATALOGUE.values() if event.TOPIC == "cases"}
    assert {e.TYPE for e in events - set(VISIBLE)} == {
        "nl.hulpketen.deadlines.approaching.v1",
        "nl.hulpketen.deadlines.passed.v1",
    }


def test_a_municipality_that_refers_itself_gets_one_line_with_the_case() -> None:
    directory = Directory()
    change = organisation("gemeente-assen", "municipality", ["0106"])
    directory.learn([("organisation-gemeente-assen", organisation_changed(change).state)])
    event = referral(from_organisation="gemeente-assen")
    assert readers(event, directory.feed_of) == {MUNICIPALITY: Role.MUNICIPALITY, RECEIVER: Role.RECEIVER}


def test_an_organisation_cannot_read_a_municipality_by_taking_its_name() -> None:
    assert own_feed("municipality-0106") is None
    other = referral(to_organisation="municipality-0114")
    assert set(readers(other, own_feed)) == {MUNICIPALITY, SENDER}


def test_no_line_names_or_joins_persons() -> None:
    state = None
    for event in (case(), proposed(), *(referral(kind, status=status) for kind, status, _ in REFERRALS)):
        decision = file.decide(state, event, own_feed)
        assert decision
        state = decision.state
        for emit in decision.events:
            assert PERSON not in emit.event.model_dump_json()
            assert emit.subject in (CASE, REFERRAL)


def test_what_partners_get_has_no_room_for_contact_details() -> None:
    allowed = {
        *("referral", "case", "change", "municipality", "service", "fromOrganisation", "toOrganisation", "status"),
        *("version", "reason", "outcome", "changedAt", "kind", "crisis", "repeated", "signals", "proposals", "result"),
        "flags",
        *("organisation", "rules", "rule", "met", "detail"),
    }
    for event in (PartnerReferralChanged, PartnerCaseChanged):
        assert _names(event.model_json_schema(by_alias=True)) <= allowed


def test_state_holds_the_latest_of_each() -> None:
    state = None
    for event in (case(), referral(), referral(ReferralDeclined, status="declined", reason="capacity", version=2)):
        decision = file.decide(state, event, own_feed)
        assert decision
        state = decision.state
    assert state
    assert state["feeds"] == [MUNICIPALITY, SENDER, RECEIVER]
    assert [(r["status"], r["version"]) for r in state["referrals"]] == [("declined", 2)]
    assert set(state["referrals"][0]["feeds"]) == {MUNICIPALITY, SENDER, RECEIVER}


def test_state_is_bounded_and_what_is_open_stays() -> None:
    state = None
    for n in range(file.MOST_REFERRALS + 20):
        event = referral(
            referral=f"00000000-0000-4000-8000-{n:012d}", status="ended" if n % 2 else "made", decided_by=None
        )
        decision = file.decide(state, event, own_feed)
        assert decision
        state = decision.state
    assert state
    assert len(state["referrals"]) == file.MOST_REFERRALS
    assert sum(r["status"] == "made" for r in state["referrals"]) == (file.MOST_REFERRALS + 20) // 2


def organisation(name: str, kind: OrganisationKind, municipalities: list[str], kafka: bool = False) -> Any:
    return OrganisationChanged(
        organisation=name,
        name=name.title(),
        kind=kind,
        municipalities=municipalities,
        kafka=kafka,
    )


def _names(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        inner = set().union(*(_names(value) for value in schema.values()))
        return inner | set(schema.get("properties", ()))
    return set().union(*map(_names, schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("event", [case(), referral()])
def test_every_line_says_where_to_ask_who_it_is_about(event: Event) -> None:
    where = "https://intake.example.org/v1/somebody/person"
    decision = file.decide(None, event, own_feed, where)
    assert decision
    assert {emit.dataref for emit in decision.events} == {where}
