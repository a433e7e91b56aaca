"""The rules for unusual access: what each finds, what it lets be, and that no finding leads to a person."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain.unusual import RULES, SHOWN, Finding, Limits, Seen, World, unusual
from services.audit.working_hours import working

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMITS = Limits(
    people_times=3, people_at_least=4, people_days=30, outside_at_least=2, often_times=3, often_days=7
)  # fmt: skip
WORLD = World(LIMITS, frozenset(), lambda at: at.hour == 12)


def look(
    n: int, persons: Collection[str] = (), at: datetime = NOON, organisation: str = "maatjes", employee: str = "e1"
) -> Seen:
    return Seen(n, at, "intake", organisation, employee, persons)


def found(rule: str, looks: list[Seen], world: World = WORLD) -> list[Finding]:
    return [finding for finding in unusual(looks, world) if finding.rule == rule]


def own(*persons: str) -> World:
    return replace(WORLD, own={("maatjes", person) for person in persons})


def test_an_organisation_that_looks_at_far_more_people_than_its_own_is_found() -> None:
    looks = [look(n, [f"p{n}"]) for n in range(8)]
    assert found("more-people-than-referrals", looks, own("p0", "p1")) == [
        Finding(
            "more-people-than-referrals",
            "maatjes",
            None,
            None,
            {"looks": 6, "people": 8, "own": 2, "days": 30},
            [2, 3, 4, 5, 6, 7],
        )
    ]


@pytest.mark.parametrize(
    ("looks", "world"),
    [
        ([look(n, [f"p{n}"]) for n in range(6)], own("p0", "p1")),  # three times its own: not more than that
        ([look(n, [f"p{n}"]) for n in range(3)], WORLD),  # too few people to say anything
        ([look(n, ["p0"]) for n in range(50)], WORLD),  # one person often is another rule's
        ([look(n) for n in range(50)], WORLD),  # lists
        ([look(n, [f"p{n}"], organisation=f"o{n}") for n in range(8)], WORLD),  # each organisation for itself
    ],
)
def test_an_organisation_that_looks_at_its_own_people_or_at_few_is_not(looks: list[Seen], world: World) -> None:
    assert found("more-people-than-referrals", looks, world) == []


def test_another_organisations_people_are_not_its_own() -> None:
    others = replace(WORLD, own={("gkb", f"p{n}") for n in range(8)})
    assert found("more-people-than-referrals", [look(n, [f"p{n}"]) for n in range(8)], others)


def test_who_looks_outside_working_hours_is_found_with_how_much_that_is_of_all() -> None:
    late = NOON.replace(hour=23)
    looks = [look(0), look(1, at=late), look(2, ["p"], at=late), look(3, at=late, employee="e2")]
    assert found("outside-working-hours", looks) == [
        Finding("outside-working-hours", "maatjes", "intake", "e1", {"looks": 2, "of": 3}, [1, 2])
    ]
    assert found("outside-working-hours", looks, replace(WORLD, working=lambda _: True)) == []


def test_who_looks_at_one_person_often_within_days_is_found() -> None:
    days = [look(n, ["p", "q"] if n else ["p"], at=NOON + timedelta(days=3 * n)) for n in range(3)]
    assert found("one-person-often", days) == [
        Finding("one-person-often", "maatjes", "intake", "e1", {"looks": 3, "days": 7}, [0, 1, 2])
    ]


@pytest.mark.parametrize(
    "looks",
    [
        [look(n, [f"p{n}"]) for n in range(9)],  # many people
        [look(n, ["p"], employee=f"e{n}") for n in range(9)],  # many employees
        [look(n, ["p"], at=NOON + timedelta(days=4 * n)) for n in range(9)],  # in a long time
        [look(n) for n in range(9)],  # lists
    ],
)
def test_who_looks_at_many_or_seldom_is_not(looks: list[Seen]) -> None:
    assert found("one-person-often", looks) == []


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_the_most_looks_within_days_are_found_wherever_they_begin(days: list[int]) -> None:
    looks = [look(n, ["p"], at=NOON + timedelta(days=day)) for n, day in enumerate(days)]
    most = max(sum(begin <= day < begin + LIMITS.often_days for day in days) for begin in days)
    counts = [finding.counts["looks"] for finding in found("one-person-often", looks)]
    assert counts == ([most] if most >= LIMITS.often_times else [])


def test_no_finding_leads_to_a_person_and_each_says_why_in_both_languages() -> None:
    late = NOON.replace(hour=3)
    looks = [look(n, [f"person-{n}", "person-0"], at=late) for n in range(40)]
    findings = unusual(looks, WORLD)
    assert {finding.rule for finding in findings} == set(RULES)
    for finding in findings:
        rule = RULES[finding.rule]
        for why in (rule.why_nl, rule.why_en):
            assert "{" not in why.format(**finding.counts)
        assert "person" not in str(finding[1:])
        assert len(finding.entries) <= SHOWN


def test_the_most_stands_first_within_a_rule() -> None:
    late = NOON.replace(hour=3)
    looks = [look(n, at=late, employee="e1" if n < 3 else "e2") for n in range(10)]
    assert [finding.employee for finding in found("outside-working-hours", looks)] == ["e2", "e1"]


@pytest.mark.parametrize(
    ("at", "works"),
    [
        ("2026-11-24T06:00:00+00:00", True),  # seven in Amsterdam, in winter
        ("2026-11-24T05:59:59+00:00", False),
        ("2026-07-21T05:00:00+00:00", True),  # seven in summer
        ("2026-07-21T17:00:00+00:00", False),  # it ends at seven in the evening
        ("2026-11-28T12:00:00+00:00", False),  # a Saturday
        ("2026-04-27T12:00:00+00:00", False),  # the King's birthday, a Monday
        ("2026-12-25T12:00:00+00:00", False),  # a Friday
        ("2026-11-22T23:30:00+00:00", False),  # Monday already in Amsterdam, but night
    ],
)
def test_working_hours_are_those_of_weekdays_in_amsterdam_but_for_public_holidays(at: str, works: bool) -> None:
    assert working(datetime.fromisoformat(at), 7, 19) is works
