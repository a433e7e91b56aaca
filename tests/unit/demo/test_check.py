"""What is planted in the services, the broker or the audit is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cli.demo.check import check
from cli.demo.report import MUST_BE_ZERO, make
from tests.unit.demo.samples import CASE, GEMEENTE, HELPER, REFERRAL, SIGNAL, facts, signal_event, well

OTHER = "0" * 8 + CASE[8:]
REFERRAL_ITEM: dict[str, Any] = {"referral": REFERRAL, "version": 2, "case": CASE, "service": "proef-maatje"}


def found(**changes: Any) -> Counter[str]:
    """What is found where all is well but for these changes."""
    ledger, _ = well()
    check(ledger, facts(**changes))
    return Counter(finding.kind for finding in ledger.findings)


def case(**changes: Any) -> list[dict[str, Any]]:
    return [{**facts().cases[0], **changes}]


def told(organisation: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {**facts().told_referrals, organisation: list(items)}


def test_nothing_is_found_where_all_is_well() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        pytest.param({"cases": case(received=[], signals=0)}, "lost", id="a signal is in no case"),
        pytest.param({"cases": case(received=[{"signal": OTHER}])}, "lost", id="another signal is in its place"),
        pytest.param({"cases": case(received=[{"signal": SIGNAL}] * 2, signals=2)}, "doubled", id="a signal twice"),
        pytest.param({"cases": case(signals=2)}, "doubled", id="a signal is counted twice"),
        pytest.param({"cases": [*case(), *case(case=OTHER, received=[])]}, "doubled", id="a second case"),
        pytest.param({"cases": case(otherCases=[OTHER])}, "doubled", id="a case beside the case"),
        pytest.param({"cases": []}, "lost", id="no case"),
        pytest.param({"cases": case(version=2)}, "lost", id="a version of a case that nobody saw"),
        pytest.param({"cases": case(referrals=[])}, "lost", id="matching has no referral"),
        pytest.param({"cases": case(referrals=[REFERRAL_ITEM] * 2)}, "doubled", id="matching has a referral twice"),
        pytest.param(
            {"cases": case(referrals=[REFERRAL_ITEM, {**REFERRAL_ITEM, "referral": OTHER}])},
            "doubled",
            id="another referral to the same service",
        ),
        pytest.param({"told_cases": []}, "lost", id="the municipality is not shown the case"),
        pytest.param({"told_referrals": told(HELPER)}, "lost", id="a partner is not shown its referral"),
        pytest.param({"told_referrals": told(HELPER, REFERRAL_ITEM, REFERRAL_ITEM)}, "doubled", id="shown it twice"),
        pytest.param({"told_referrals": told(GEMEENTE, {**REFERRAL_ITEM, "version": 1})}, "lost", id="as it was"),
        pytest.param({"told_referrals": told("wijkteam-proef", REFERRAL_ITEM)}, "doubled", id="another's referral"),
        pytest.param({"events": []}, "lost", id="a signal without an event"),
        pytest.param({"events": [signal_event("a"), signal_event("b")]}, "doubled", id="a signal with two events"),
        pytest.param({"audited": frozenset({"event-9"})}, "lost", id="the trail lacks an event"),
        pytest.param({"entries": [*facts().entries, {"index": 3, "eventId": "event-1"}]}, "doubled", id="twice in it"),
        pytest.param({"entries": [*facts().entries, {"index": 4, "eventId": "event-4"}]}, "lost", id="a gap in it"),
    ],
)
def test_what_is_planted_is_found(changes: dict[str, Any], kind: str) -> None:
    assert found(**changes)[kind] > 0


def test_a_choice_without_a_referral_is_lost() -> None:
    ledger, all_well = well()
    ledger.choices[HELPER] += 1
    check(ledger, all_well)
    assert [finding.kind for finding in ledger.findings] == ["lost"]


def test_the_report_adds_up() -> None:
    ledger, all_well = well()
    ledger.copy()
    check(ledger, all_well)
    figures = make(ledger, all_well, [1.0, 2.0, 90.0], copies=2, found=0)
    assert {name: figures[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0)
    assert figures["statusesExpected"] == figures["statusesSeen"] == 5
    assert figures["redelivered"] == 3
    assert figures["postToPartnerMs"] == {"p50": 2.0, "p99": 90.0}


def test_the_report_counts_what_was_found() -> None:
    ledger, all_well = well()
    ledger.find("lost", "three things", 3)
    ledger.find("personal", "somebody was shown something")
    figures = make(ledger, all_well, [], copies=0, found=2)
    assert (figures["lost"], figures["personalDataFound"]) == (3, 3)
