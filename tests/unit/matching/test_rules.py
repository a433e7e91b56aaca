"""A test for each row of the tables of rules, and what is proposed in which order."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hulpketen_contracts import ServiceChanged

from services.matching.domain.directory import Directory
from services.matching.domain.rules import CAPACITY, EXITS, NEEDS, RULES, SERVES, Need, exits_for
from services.matching.domain.texts import TEXTS
from tests.unit.matching.made_up import (
    ASSEN,
    DIRECTORY,
    FIKKS,
    FONDS,
    GKB,
    LOCAL,
    MAATJES,
    MUNICIPAL,
    NOW,
    SELF,
    VOEDSELBANK,
    directory,
    service,
)

DAY = NOW.date()
SINGLE = Need(ASSEN, False, "single", None, ("Huur",))
MULTIPLE = SINGLE._replace(kind="multiple", partner_types=("Energie", "Huur"))
CRISIS = SINGLE._replace(crisis=True)
SCHOOL = SINGLE._replace(partner_types=("School",))
ASKED = SINGLE._replace(partner_types=("Inwoner",))


def one(**fields: Any) -> ServiceChanged:
    return service("one", fields.pop("kind", "volunteers"), *fields.pop("exits", (LOCAL,)), **fields)


RULE = {"valid_from": "2026-01-01", "valid_until": "2026-12-31", "rule": "income", "value": 120}
OUTCOMES: list[tuple[str, ServiceChanged, Need, bool | None, str]] = [
    ("municipality", one(), SINGLE, True, "offered-here"),
    ("municipality", one(municipalities=["9901"]), SINGLE, False, "not-offered-here"),
    ("status", one(), SINGLE, True, "active"),
    ("status", one(status="inactive"), SINGLE, False, "inactive"),
    ("status", one(status="defunct"), SINGLE, False, "defunct"),
    ("status", one(status="temporarily closed"), SINGLE, False, "temporarily-closed"),
    ("capacity", one(), SINGLE, True, "has-capacity"),
    ("capacity", one(capacity="waitlist"), SINGLE, True, "has-waiting-list"),
    ("capacity", one(capacity="additional-assessment-required"), SINGLE, None, "assessment-needed"),
    ("capacity", one(capacity="no-capacity"), SINGLE, False, "no-capacity"),
    ("capacity", one(capacity=None), SINGLE, None, "capacity-unknown"),
    ("exit", one(), SINGLE, True, "best-exit"),
    ("exit", one(exits=("zelfhulp",)), SINGLE, True, "possible-exit"),
    ("exit", one(exits=("zelfhulp",)), MULTIPLE, False, "other-exit"),
    ("exit", one(exits=()), SINGLE, None, "exits-unknown"),
    ("need", one(), SINGLE, True, "fits-need"),
    ("need", one(kind="fund"), SINGLE, False, "other-need"),
    ("need", one(kind="fund"), SCHOOL, True, "fits-need"),
    ("need", one(kind="food-bank"), ASKED, True, "fits-need"),
    ("need", one(kind="something-new"), SINGLE, None, "kind-unknown"),
    ("crisis", one(), SINGLE, True, "no-crisis"),
    ("crisis", one(exits=(MUNICIPAL,)), CRISIS, True, "goes-first"),
    ("crisis", one(), CRISIS, None, "beside-municipal-help"),
    ("age", one(), SINGLE, True, "no-age-limit"),
    ("age", one(minimum_age=18), SINGLE, None, "age-unknown"),
    ("age", one(maximum_age=17), SINGLE, None, "age-unknown"),
    ("conditions", one(), SINGLE, True, "no-conditions"),
    ("conditions", one(eligibility=[RULE]), SINGLE, None, "conditions-to-check"),
    ("conditions", one(eligibility=[{"rule": "income"}]), SINGLE, None, "conditions-to-check"),
    ("conditions", one(eligibility=[RULE | {"valid_from": "2026-03-03"}]), SINGLE, True, "no-conditions"),
    ("conditions", one(eligibility=[RULE | {"valid_until": "2026-03-01"}]), SINGLE, True, "no-conditions"),
]


@pytest.mark.parametrize(
    ("code", "of", "need", "met", "detail"), OUTCOMES, ids=[f"{n}-{row[0]}-{row[4]}" for n, row in enumerate(OUTCOMES)]
)
def test_each_outcome_of_each_rule(code: str, of: ServiceChanged, need: Need, met: bool | None, detail: str) -> None:
    rule = next(rule for rule in RULES if rule.code == code)
    assert rule.judge(of, need, DAY) == (met, detail)


def test_every_rule_and_detail_is_tested_and_explained() -> None:
    assert {(row[0], row[4]) for row in OUTCOMES} == set(TEXTS)
    assert {row[0] for row in OUTCOMES} == {rule.code for rule in RULES}
    assert {detail for _, detail in CAPACITY.values()} == {row[4] for row in OUTCOMES if row[0] == "capacity"}
    assert all(text.nl and text.en for text in TEXTS.values())


@pytest.mark.parametrize("row", EXITS, ids=str)
def test_each_row_of_exits(row: tuple[bool | None, str | None, str | None, tuple[str, ...]]) -> None:
    crisis, exit_, kind, exits = row
    assert exits_for(SINGLE._replace(crisis=bool(crisis), exit=exit_, kind=kind or "single")) == exits


def test_a_threatening_situation_overrides_the_test() -> None:
    assert exits_for(CRISIS._replace(exit="zelfhulp"))[0] == MUNICIPAL


@pytest.mark.parametrize("partner", NEEDS)
def test_each_need_has_a_kind_of_help(partner: str) -> None:
    assert all(any(need in serves for serves in SERVES.values()) for need in NEEDS[partner])


def proposed(need: Need, at: Directory = DIRECTORY, day: date = DAY) -> list[str]:
    return [proposal.service for proposal in at.propose(need, day).proposals]


ORDERS = [
    ("one creditor", SINGLE, [MAATJES, GKB, FIKKS]),
    ("several creditors", MULTIPLE, [GKB, MAATJES]),
    ("a threatening situation", CRISIS, [GKB, MAATJES]),
    ("a school", SCHOOL, [FONDS]),
    ("a resident at the municipal exit", ASKED._replace(exit=MUNICIPAL), [GKB, VOEDSELBANK, MAATJES]),
    ("a resident at self-help", ASKED._replace(exit="zelfhulp"), [SELF, FIKKS]),
    ("elsewhere", SINGLE._replace(municipality="9901"), []),
]


@pytest.mark.parametrize(("name", "need", "services"), ORDERS, ids=[row[0] for row in ORDERS])
def test_what_is_proposed_in_which_order(name: str, need: Need, services: list[str]) -> None:
    assert proposed(need) == services


def test_at_most_three_and_each_rule_explained() -> None:
    many = directory(*(service(f"more-{n}", "volunteers", LOCAL) for n in range(5)))
    found = many.propose(SINGLE, DAY).proposals
    assert len(found) == 3
    for proposal in found:
        assert [outcome.rule for outcome in proposal.rules] == [rule.code for rule in RULES]
        assert all(outcome.met is not False for outcome in proposal.rules)


def test_room_goes_before_a_waiting_list_and_known_before_unknown() -> None:
    at = Directory(
        {
            each.service: each
            for each in (
                service("a", "volunteers", LOCAL, capacity="waitlist"),
                service("b", "volunteers", LOCAL, minimum_age=18),
                service("c", "volunteers", LOCAL),
            )
        }
    )
    assert proposed(SINGLE, at) == ["c", "b", "a"]


def test_the_digest_differs_where_an_outcome_does_and_a_condition_holds_from_its_day() -> None:
    at = directory(service(MAATJES, "volunteers", LOCAL, eligibility=[RULE | {"valid_from": "2026-03-03"}]))
    today, tomorrow = (at.propose(SINGLE, date(2026, 3, day)) for day in (2, 3))
    assert today.digest != tomorrow.digest
    assert at.propose(SINGLE, DAY) is today
    assert DIRECTORY.propose(SINGLE, DAY).digest != today.digest
    assert directory().propose(SINGLE, DAY).digest == DIRECTORY.propose(SINGLE, DAY).digest
