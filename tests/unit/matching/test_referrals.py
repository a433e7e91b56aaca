"""The state machine of referrals: each row of its table, what is not in it, and who may do what."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
from hulpketen_contracts import ReferralMade, ReferralState
from hulpketen_contracts.values import ReferralStatus

from services.matching.domain import referrals
from services.matching.domain.errors import (
    AlreadyReferred,
    CaseIsClosed,
    CodeRefused,
    NotAllowedNow,
    NotFound,
    ServiceNotOffered,
    ServiceUnknown,
)
from services.matching.domain.referrals import AT_AN_END, TRANSITIONS, Actor, Step, Transition, Wanted
from tests.unit.matching.made_up import (
    GKB,
    LOCAL,
    MAATJES,
    PERSON,
    Played,
    directory,
    service,
    signal,
    world,
)

RECEIVER = Actor("maatjes-voorbeeld", may_answer=True, may_write=False)
AUTHOR = Actor("gemeente-assen", may_answer=False, may_write=True, writes_as="coordinator")
STRANGER = Actor("gkb-voorbeeld", may_answer=True, may_write=True)
ACTORS: dict[str, Actor | None] = {"receiver": RECEIVER, "author": AUTHOR, "clock": None}
WANTED = Wanted(MAATJES, "professional", "gemeente-assen")
# How to come to each status, from made.
WAYS: dict[str, tuple[str, ...]] = {
    "made": (),
    "accepted": ("accept",),
    "declined": ("decline",),
    "waitlisted": ("waitlist",),
    "started": ("accept", "start"),
    "ended": ("accept", "start", "end"),
    "cancelled": ("cancel",),
    "expired": ("expire",),
}
ACTIONS = sorted({row.action for row in TRANSITIONS})


def made() -> Played:
    played = Played()
    played.take(signal())
    played.accept(referrals.make(played.state, played.case["id"], WANTED, world("make")))
    return played


def step(played: Played, row: Transition, **said: str) -> Step:
    if row.due and not said:
        said = {row.due.field: row.due.codes[0]}
    return Step(played.referral["referral"], row.action, ACTORS[row.who], **said)


def at(status: str) -> Played:
    played = made()
    for n, action in enumerate(WAYS[status]):
        row = next(r for r in TRANSITIONS if r.before == played.referral["status"] and r.action == action)
        played.accept(referrals.act(played.state, step(played, row), world(f"way-{n}")))
    assert played.referral["status"] == status
    return played


def name(row: Transition) -> str:
    return f"{row.before}-{row.action}"


@pytest.mark.parametrize("row", TRANSITIONS, ids=name)
def test_each_row_of_the_table(row: Transition) -> None:
    played = at(row.before)
    before = dict(played.referral)
    decision = referrals.act(played.state, step(played, row), world("row"))
    (event,) = played.accept(decision)
    assert type(event) is row.event
    assert isinstance(event, ReferralState)
    assert (event.status, event.version, event.person) == (row.after, before["version"] + 1, PERSON)
    assert event.decided_by == {"receiver": "partner", "author": "coordinator", "clock": None}[row.who]
    said = {"reason": event.reason, "outcome": event.outcome}
    due = {row.due.field: row.due.codes[0]} if row.due else {}
    assert {field: code for field, code in said.items() if code} == due
    kept = ("referral", "case", "service", "from_organisation", "to_organisation")
    assert all(getattr(event, field) == before[field] == played.referral[field] for field in kept)
    assert decision.events[0].subject == before["referral"]
    assert decision.events[0].dataref == f"/v1/referrals/{before['referral']}/person"
    assert decision.answer["status"] == row.after
    assert PERSON not in str(decision.answer)


@pytest.mark.parametrize("row", [row for row in TRANSITIONS if row.due], ids=name)
def test_each_code_that_is_due_is_taken_and_no_other(row: Transition) -> None:
    assert row.due
    played = at(row.before)
    for code in row.due.codes:
        referrals.act(played.state, step(played, row, **{row.due.field: code}), world())
    other = "outcome" if row.due.field == "reason" else "reason"
    refusals: tuple[dict[str, str], ...] = ({}, {row.due.field: "mrs Jansen is ill"}, {other: row.due.codes[0]})
    for said in refusals:
        wrong = Step(played.referral["referral"], row.action, ACTORS[row.who], **said)
        with pytest.raises(CodeRefused, match="Free text is not taken") as refused:
            referrals.act(played.state, wrong, world())
        assert "Jansen" not in str(refused.value)
    both = Step(played.referral["referral"], row.action, ACTORS[row.who], row.due.codes[0], row.due.codes[0])
    with pytest.raises(CodeRefused) as refused:
        referrals.act(played.state, both, world())
    assert set(refused.value.wrong) == {other}
    neither = Step(played.referral["referral"], row.action, ACTORS[row.who], "ill", "ill")
    with pytest.raises(CodeRefused) as refused:
        referrals.act(played.state, neither, world())
    assert list(refused.value.wrong) == ["reason", "outcome"]


@pytest.mark.parametrize("row", [row for row in TRANSITIONS if not row.due], ids=name)
@pytest.mark.parametrize("field", ["reason", "outcome"])
def test_what_is_not_due_is_refused(row: Transition, field: str) -> None:
    played = at(row.before)
    with pytest.raises(CodeRefused):
        referrals.act(played.state, step(played, row, **{field: "capacity"}), world())


@pytest.mark.parametrize(("status", "action"), list(itertools.product(get_args(ReferralStatus), ACTIONS)))
def test_what_the_table_does_not_have_is_refused_with_what_is_allowed(status: str, action: str) -> None:
    if any((row.before, row.action) == (status, action) for row in TRANSITIONS):
        return
    played = at(status)
    for who, actor in ACTORS.items():
        with pytest.raises(NotAllowedNow) as refused:
            referrals.act(played.state, Step(played.referral["referral"], action, actor), world())
        allowed = [row.action for row in TRANSITIONS if row.before == status and row.who == who]
        assert list(refused.value.allowed) == allowed
        if actor:
            assert [each["action"] for each in referrals.allowed(played.state["referrals"][-1], actor)] == allowed  # type: ignore[index]


@pytest.mark.parametrize("row", TRANSITIONS, ids=name)
def test_only_who_the_table_names_may(row: Transition) -> None:
    played = at(row.before)
    given = step(played, row)
    for who, actor in ACTORS.items():
        if who != row.who:
            with pytest.raises(NotAllowedNow):
                referrals.act(played.state, given._replace(actor=actor), world())
    with pytest.raises(NotFound):
        referrals.act(played.state, given._replace(actor=STRANGER), world())
    powerless = [a._replace(may_answer=False, may_write=False) for a in (RECEIVER, AUTHOR)]
    for actor in powerless:
        with pytest.raises(NotAllowedNow):
            referrals.act(played.state, given._replace(actor=actor), world())


def test_nothing_leads_away_from_an_end() -> None:
    assert {row.after for row in TRANSITIONS} | {"made"} == set(get_args(ReferralStatus))
    assert {row.before for row in TRANSITIONS} | AT_AN_END == set(get_args(ReferralStatus))
    assert not AT_AN_END & {row.before for row in TRANSITIONS}


def test_an_unknown_referral_is_not_found() -> None:
    for state in (None, made().state):
        with pytest.raises(NotFound):
            referrals.act(state, Step("unknown", "accept", RECEIVER), world())


def test_making_one_tells_who_decided() -> None:
    played = made()
    (event,) = played.told[-1:]
    assert isinstance(event, ReferralMade)
    assert (event.decided_by, event.from_organisation, event.to_organisation) == (
        "professional",
        "gemeente-assen",
        "maatjes-voorbeeld",
    )


def test_two_at_once_to_one_service_are_refused_and_name_the_first() -> None:
    played = made()
    with pytest.raises(AlreadyReferred) as refused:
        referrals.make(played.state, played.case["id"], WANTED, world("again"))
    assert refused.value.referral == played.referral["referral"]
    other = referrals.make(played.state, played.case["id"], WANTED._replace(service=GKB), world("other"))
    assert len(other.state["referrals"]) == 2


@pytest.mark.parametrize("status", sorted(AT_AN_END))
def test_after_an_end_another_may_be_made(status: str) -> None:
    played = at(status)
    played.accept(referrals.make(played.state, played.case["id"], WANTED, world("again")))
    assert [each["status"] for each in (played.state or {})["referrals"]] == [status, "made"]


CANNOT: list[tuple[str, dict[str, Any], type[Exception]]] = [
    ("active", {}, AlreadyReferred),
    ("inactive", {"status": "inactive"}, ServiceNotOffered),
    ("defunct", {"status": "defunct"}, ServiceNotOffered),
    ("closed for a time", {"status": "temporarily closed"}, ServiceNotOffered),
    ("elsewhere", {"municipalities": ["9901"]}, ServiceNotOffered),
]


@pytest.mark.parametrize(("name", "fields", "error"), CANNOT, ids=[row[0] for row in CANNOT])
def test_a_service_that_is_not_offered_is_refused(name: str, fields: dict[str, Any], error: type[Exception]) -> None:
    played = made()
    at = directory(service(MAATJES, "volunteers", LOCAL, **fields))
    with pytest.raises(error):
        referrals.make(played.state, played.case["id"], WANTED, world(at=at))


def test_an_unknown_service_or_case_and_a_closed_case_are_refused() -> None:
    played = made()
    case = played.case["id"]
    with pytest.raises(ServiceUnknown):
        referrals.make(played.state, case, WANTED._replace(service="unknown"), world())
    with pytest.raises(NotFound):
        referrals.make(played.state, "unknown", WANTED, world())
    played.case["status"] = "closed"
    with pytest.raises(CaseIsClosed):
        referrals.make(played.state, case, WANTED._replace(service=GKB), world())
