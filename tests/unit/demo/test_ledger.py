"""What is planted in a feed is found: lost, doubled, out of order."""

from __future__ import annotations

from cli.demo.ledger import Ledger, Place
from tests.unit.demo.samples import GEMEENTE, HELPER, REFERRAL, answer, case_line, referral_line, well

OTHER = "0" * 8 + REFERRAL[8:]


def kinds(ledger: Ledger) -> list[str]:
    return [finding.kind for finding in ledger.findings]


def test_all_is_well_where_everybody_saw_everything() -> None:
    ledger, _ = well()
    assert ledger.settled()
    assert ledger.findings == []
    assert ledger.missing() == []
    assert [round(ms) for ms in ledger.milliseconds(frozenset({HELPER}))] == [100, 200]


def test_a_status_that_a_partner_did_not_see_is_missing_and_not_settled() -> None:
    ledger, _ = well()
    ledger.referral_changed(answer(3, "started"), 3.0)
    ledger.saw(GEMEENTE, referral_line(3, "started", "help.started"), 3.1)
    assert ledger.missing() == [Place(HELPER, REFERRAL, 3)]
    assert not ledger.settled()


def test_a_signal_that_is_in_no_case_is_not_settled() -> None:
    ledger, _ = well()
    ledger.signal_taken("klant-2", "a person", "another")
    assert not ledger.settled()
    ledger.saw(GEMEENTE, case_line(2, 2), 3.0)
    assert ledger.settled()


def test_an_event_that_comes_twice_through_the_reader_is_doubled() -> None:
    ledger, _ = well()
    ledger.saw(HELPER, referral_line(2, "accepted", "referrals.accepted"), 3.0)
    assert kinds(ledger) == ["doubled"]


def test_two_events_of_one_version_are_doubled() -> None:
    ledger, _ = well()
    ledger.saw(HELPER, referral_line(2, "declined", "referrals.declined"), 3.0)
    assert kinds(ledger) == ["doubled"]


def test_the_same_event_at_two_organisations_is_right() -> None:
    ledger = Ledger(GEMEENTE)
    for organisation in (GEMEENTE, HELPER):
        ledger.saw(organisation, referral_line(1, "made", "referrals.made", id="the same"), 1.0)
    assert kinds(ledger) == []


def test_a_version_after_a_later_one_is_out_of_order() -> None:
    ledger = Ledger(GEMEENTE)
    ledger.saw(HELPER, referral_line(1, "made", "referrals.made"), 1.0)
    ledger.saw(HELPER, referral_line(3, "started", "help.started"), 2.0)
    ledger.saw(HELPER, referral_line(2, "accepted", "referrals.accepted"), 3.0)
    assert kinds(ledger) == ["outOfOrder"]
    assert ledger.latest[REFERRAL] == "started"


def test_proposals_stand_beside_the_version_of_their_case() -> None:
    ledger = Ledger(GEMEENTE)
    ledger.saw(GEMEENTE, case_line(1, 1, "cases.opened"), 1.0)
    ledger.saw(GEMEENTE, case_line(1, 1, "referrals.proposed"), 1.0)
    ledger.saw(GEMEENTE, case_line(2, 2), 2.0)
    assert kinds(ledger) == []


def test_a_repeated_signal_must_keep_its_id() -> None:
    ledger = Ledger(GEMEENTE)
    ledger.signal_taken("klant-1", "a person", "one")
    ledger.signal_taken("klant-1", "a person", "one")
    assert kinds(ledger) == []
    ledger.signal_taken("klant-1", "a person", "two")
    assert kinds(ledger) == ["doubled"]


def test_one_version_with_two_answers_is_doubled() -> None:
    ledger, _ = well()
    ledger.referral_changed(answer(2, "declined"), 3.0)
    assert kinds(ledger) == ["doubled"]


def test_a_choice_of_a_resident_waits_for_its_referral() -> None:
    ledger, _ = well()
    ledger.choices[HELPER] += 1
    assert not ledger.settled()
    for organisation in (GEMEENTE, HELPER):
        ledger.saw(organisation, referral_line(1, "made", "referrals.made", referral=OTHER), 3.0)
    assert ledger.settled()
