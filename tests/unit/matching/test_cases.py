"""Signals open and join cases; what leaves a case, and who closes it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hulpketen_contracts import (
    CaseClosed,
    CaseOpened,
    CaseState,
    CaseUpdated,
    PersonErased,
    PersonMerged,
    SignalReceived,
)

from services.matching.domain import cases
from services.matching.domain.errors import CaseIsClosed, NotFound
from services.matching.domain.file import SIGNALS_KEPT
from services.matching.domain.policy import Policy
from tests.unit.matching.made_up import (
    ASSEN,
    MUNICIPALITY,
    PERSON,
    SERVICES,
    Played,
    choice,
    directory,
    later,
    service,
    signal,
    types,
    withdrawal,
    world,
)


def test_a_first_signal_opens_a_case_and_proposes_help() -> None:
    played = Played()
    given = signal()
    opened, proposed = played.take(given)
    assert isinstance(opened, CaseOpened)
    assert opened.model_dump(exclude={"case", "opened_at"}) == {
        "person": PERSON,
        "subject_kind": "person",
        "municipality": ASSEN,
        "version": 1,
        "status": "open",
        "kind": "single",
        "crisis": False,
        "repeated": False,
        "signals": 1,
        "partner_types": ["Huur"],
        "signal": given.signal,
        "result": None,
        "organisation": None,
        "flags": [],
    }
    assert types([proposed]) == ["referrals.proposed"]
    assert played.state
    assert "referrals" not in played.state


def test_the_same_signal_again_makes_the_same_case() -> None:
    given = signal()
    one = cases.receive(None, given, world("event-1"))
    other = cases.receive(None, given, world("event-1"))
    assert one == other


def test_a_second_signal_joins_the_open_case_and_proposes_again_only_what_changed() -> None:
    played = Played()
    opened = played.take(signal())[0]
    assert isinstance(opened, CaseState)
    same = played.take(signal(amount=700))
    assert types(same) == ["cases.updated"]
    changed = played.take(signal(sender="energie-voorbeeld", partner_type="Energie"))
    assert types(changed) == ["cases.updated", "referrals.proposed"]
    assert isinstance(changed[0], CaseUpdated)
    assert (changed[0].case, changed[0].version, changed[0].signals) == (opened.case, 3, 3)


def test_the_directory_that_changed_is_proposed_with_the_next_signal() -> None:
    played = Played()
    played.take(signal())
    played.at = directory(service("maatjes", "volunteers", *SERVICES[1].exits, capacity="no-capacity"))
    assert types(played.take(signal(amount=700))) == ["cases.updated", "referrals.proposed"]


KINDS = [
    ("another kind of creditor", {"partner_type": "Energie", "sender": "energie-voorbeeld"}, "multiple"),
    ("the same kind, another sender", {"sender": "andere-huur"}, "single"),
    ("on the last day of the period", {"partner_type": "Energie", "signalled_on": later(31)}, "multiple"),
    ("a day after the period", {"partner_type": "Energie", "signalled_on": later(32)}, "single"),
    ("before, within the period", {"partner_type": "Energie", "signalled_on": later(-31)}, "multiple"),
    ("a school is no creditor", {"partner_type": "School"}, "single"),
    ("a neighbourhood team is no creditor", {"partner_type": "Wijkteam"}, "single"),
    ("an employer is no creditor", {"partner_type": "Werkgever"}, "single"),
]


@pytest.mark.parametrize(("name", "fields", "kind"), KINDS, ids=[row[0] for row in KINDS])
def test_signals_of_several_kinds_of_creditor_in_the_period_make_it_multiple(
    name: str, fields: dict[str, Any], kind: str
) -> None:
    played = Played()
    played.take(signal())
    played.take(signal(**fields))
    assert (played.case["kind"], played.case["count"]) == (kind, 2)


def test_a_municipality_may_have_a_period_of_its_own() -> None:
    played = Played(policy=Policy(matching_days_of={ASSEN: 5}))
    played.take(signal())
    played.take(signal(partner_type="Energie", signalled_on=later(6)))
    assert played.case["kind"] == "single"


def test_multiple_stays_multiple_when_a_late_signal_joins() -> None:
    played = Played()
    played.take(signal())
    played.take(signal(partner_type="Energie"))
    played.take(signal(partner_type="Water", signalled_on=later(90)))
    assert played.case["kind"] == "multiple"


REPEATED = [
    ("the same amount", {}, True),
    ("a lower amount", {"amount": 399}, True),
    ("a higher amount must be taken up", {"amount": 401}, False),
    ("an amount that is not known", {"amount": None}, False),
    ("another sender", {"sender": "andere-huur"}, False),
    ("another kind of creditor", {"partner_type": "Hypotheek"}, False),
    ("too long ago", {"signalled_on": later(91)}, False),
]


@pytest.mark.parametrize(("name", "fields", "repeated"), REPEATED, ids=[row[0] for row in REPEATED])
def test_a_repeated_signal_is_of_the_same_sender_and_not_higher(
    name: str, fields: dict[str, Any], repeated: bool
) -> None:
    played = Played()
    played.take(signal())
    played.accept(cases.close(played.state, played.case["id"], "(Budget)advies en/of quick fix", "assen", world()))
    opened = played.take(signal(**fields))[0]
    assert isinstance(opened, CaseOpened)
    assert opened.repeated is repeated


def test_a_case_with_one_signal_that_is_new_is_not_repeated() -> None:
    played = Played()
    played.take(signal())
    assert played.case["repeated"] is False
    played.take(signal())
    assert (played.case["signals"][1]["repeated"], played.case["repeated"]) == (True, False)
    played.accept(cases.close(played.state, played.case["id"], "Niet opgepakt: andere reden", "assen", world()))
    played.take(signal())
    assert played.case["repeated"] is True
    played.take(signal(amount=900))
    assert played.case["repeated"] is False
    played.take(signal())
    assert played.case["repeated"] is False


def test_crisis_stays_until_its_signal_is_withdrawn() -> None:
    played = Played()
    threatening = signal(crisis=True)
    played.take(threatening)
    played.take(signal(partner_type="Water"))
    assert played.case["crisis"] is True
    played.take(withdrawal(threatening))
    assert (played.case["crisis"], played.case["kind"], played.case["count"]) == (False, "single", 1)


def test_a_withdrawn_signal_leaves_the_case_and_the_last_one_flags_it_for_a_human() -> None:
    played = Played()
    given = signal()
    played.take(given)
    updated, proposed = played.take(withdrawal(given))
    assert isinstance(updated, CaseUpdated)
    assert proposed.model_dump()["proposals"] == []
    assert (updated.status, updated.signals, updated.signal) == ("open", 0, given.signal)
    assert played.case["flags"] == [{"code": "no-signals-left"}]
    assert played.state
    assert played.state["flagged"] is True
    played.take(signal())
    assert played.case["flags"] == []
    assert "flagged" not in played.state


def test_a_withdrawn_signal_leaves_a_resident_who_asked_alone() -> None:
    played = Played()
    given = signal(crisis=True)
    played.take(given)
    played.take(choice(crisis=True))
    played.take(withdrawal(given))
    assert (played.case.get("flags", []), played.case["crisis"]) == ([], True)


@pytest.mark.parametrize("known", [False, True], ids=["no file", "another signal"])
def test_a_withdrawal_of_what_is_not_in_an_open_case_changes_nothing(known: bool) -> None:
    played = Played()
    if known:
        played.take(signal())
    assert played.take(withdrawal(signal())) == []


def test_a_withdrawal_after_the_case_was_closed_changes_nothing() -> None:
    played = Played()
    given = signal()
    played.take(given)
    played.accept(cases.close(played.state, played.case["id"], "Niet opgepakt: onterecht signaal", "assen", world()))
    assert played.take(withdrawal(given)) == []


def test_the_file_stays_bounded_and_counts_on() -> None:
    played = Played()
    first = signal(crisis=True)
    played.take(first)
    for _ in range(SIGNALS_KEPT + 5):
        played.take(signal())
    assert (len(played.case["signals"]), played.case["count"]) == (SIGNALS_KEPT, SIGNALS_KEPT + 6)
    played.take(withdrawal(SignalReceived(**(dict(first) | {"signal": played.case["signals"][0]["id"]}))))
    assert played.case["crisis"] is True


def test_a_case_is_closed_with_its_result_and_the_next_signal_opens_another() -> None:
    played = Played()
    played.take(signal())
    first = played.case["id"]
    decision = cases.close(played.state, first, "Vervolghulp en/of verwijzing", "assen", world())
    (closed,) = played.accept(decision)
    assert isinstance(closed, CaseClosed)
    assert (closed.status, closed.result, closed.version) == ("closed", "Vervolghulp en/of verwijzing", 2)
    assert decision.answer["result"] == "Vervolghulp en/of verwijzing"
    assert PERSON not in str(decision.answer)
    played.take(signal(partner_type="Energie"))
    assert played.case["id"] != first
    assert [case["status"] for case in (played.state or {})["cases"]] == ["closed", "open"]
    assert played.state
    assert (played.state["status"], played.state["since"]) == ("open", played.case["opened_at"])


def test_a_closed_case_is_not_closed_again_and_an_unknown_one_is_not_found() -> None:
    played = Played()
    with pytest.raises(NotFound):
        cases.close(None, str(uuid.uuid4()), "Inwoner is overleden", "assen", world())
    played.take(signal())
    with pytest.raises(NotFound):
        cases.close(played.state, str(uuid.uuid4()), "Inwoner is overleden", "assen", world())
    played.accept(cases.close(played.state, played.case["id"], "Inwoner is overleden", "assen", world()))
    with pytest.raises(CaseIsClosed):
        cases.close(played.state, played.case["id"], "Inwoner is overleden", "assen", world())


def test_an_address_makes_a_case_of_that_address() -> None:
    played = Played()
    opened = played.take(signal(subject_kind="address"))[0]
    assert isinstance(opened, CaseOpened)
    assert opened.subject_kind == "address"


def test_nothing_is_proposed_where_nothing_is_offered_and_it_is_told() -> None:
    played = Played()
    proposed = played.take(signal(municipality="9901"))[1]
    assert proposed.model_dump()["proposals"] == []


def test_a_merge_keeps_the_file_and_flags_its_open_case_and_each_later_one() -> None:
    into = str(uuid.uuid4())
    played = Played()
    played.take(signal())
    (updated,) = played.take(PersonMerged(person=PERSON, into=into))
    assert isinstance(updated, CaseUpdated)
    assert updated.person == PERSON
    assert played.case["flags"] == [{"code": "person-merged"}]
    played.accept(cases.close(played.state, played.case["id"], "Niet opgepakt: andere reden", "assen", world()))
    assert played.state
    assert "flagged" not in played.state
    played.take(signal(amount=900))
    assert played.case["flags"] == [{"code": "person-merged"}]
    assert played.state["merged_into"] == into


def test_a_merge_before_the_first_signal_is_remembered() -> None:
    played = Played()
    assert played.take(PersonMerged(person=PERSON, into=str(uuid.uuid4()))) == []
    opened = played.take(signal(subject_kind="address"))[0]
    assert isinstance(opened, CaseOpened)
    assert (opened.municipality, opened.subject_kind) == (ASSEN, "address")
    assert played.case["flags"] == [{"code": "person-merged"}]


@pytest.mark.parametrize("known", [False, True])
def test_an_erased_person_leaves_a_tombstone_and_nothing_else(known: bool) -> None:
    played = Played()
    if known:
        played.take(signal())
    erased = cases.erase(played.state, PersonErased(person=PERSON), world())
    assert (erased.erase, erased.state, erased.events) == (True, {}, ())


def test_the_directory_knows_the_municipality() -> None:
    assert directory().municipality_of(ASSEN) == MUNICIPALITY.organisation
    assert directory().municipality_of("9901") is None
