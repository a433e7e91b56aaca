"""Unusual access: plain rules over who looked at whom. They propose what to look into; a person decides what it was.

A person who is looked at stands in no finding: whoever reads it knows which employee of which organisation, how often
and why, and asks the organisation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

SHOWN = 20
Key = TypeVar("Key")


class Seen(NamedTuple):
    """One look of an employee. `entry`: its number in the trail. `persons`: empty for a list, or for a look at none.

    `service`: where it was; an employee has another pseudonym at each.
    """

    entry: int
    at: datetime
    service: str
    organisation: str
    employee: str
    persons: Collection[str]


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is unusual."""

    people_times: float
    people_at_least: int
    people_days: int
    outside_at_least: int
    often_times: int
    often_days: int


@dataclass(frozen=True, slots=True)
class World:
    """What the rules know beside the looks. `own`: (organisation, person) of those whom an organisation has to do with:
    a referral, a case or a signal of the days before. `working`: whether a time is within working hours."""

    limits: Limits
    own: Collection[tuple[str, str]]
    working: Callable[[datetime], bool]


class Finding(NamedTuple):
    """What a rule found. `employee`: where it is about one, of `service`. `entries`: of the looks, SHOWN at most."""

    rule: str
    organisation: str
    service: str | None
    employee: str | None
    counts: Mapping[str, int]
    entries: Sequence[int]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what it is (in Dutch and English), and why it found something, with the counts of the finding."""

    name: str
    nl: str
    en: str
    why_nl: str
    why_en: str
    find: Callable[[Sequence[Seen], World], Iterator[Finding]]


def unusual(looks: Sequence[Seen], world: World) -> list[Finding]:
    """All that all rules find, the most first within each rule."""
    return [
        finding
        for rule in RULES.values()
        for finding in sorted(rule.find(looks, world), key=lambda each: -each.counts["looks"])
    ]


def _more_people(looks: Sequence[Seen], world: World) -> Iterator[Finding]:
    limits = world.limits
    for organisation, seen in _by(looks, lambda look: look.organisation).items():
        people = {person for look in seen for person in look.persons}
        own = {person for person in people if (organisation, person) in world.own}
        if len(people) >= limits.people_at_least and len(people) > limits.people_times * len(own):
            strange = [look for look in seen if not own.issuperset(look.persons)]
            counts = {"looks": len(strange), "people": len(people), "own": len(own), "days": limits.people_days}
            yield Finding("more-people-than-referrals", organisation, None, None, counts, _entries(strange))


def _outside_hours(looks: Sequence[Seen], world: World) -> Iterator[Finding]:
    late = [look for look in looks if not world.working(look.at)]
    all_looks = _by(looks, _employee)
    for who, seen in _by(late, _employee).items():
        if len(seen) >= world.limits.outside_at_least:
            counts = {"looks": len(seen), "of": len(all_looks[who])}
            yield Finding("outside-working-hours", *who, counts, _entries(seen))


def _one_person_often(looks: Sequence[Seen], world: World) -> Iterator[Finding]:
    limits = world.limits
    window = timedelta(days=limits.often_days)
    for who, seen in _by(looks, _employee).items():
        of_person: dict[str, list[Seen]] = defaultdict(list)
        for look in seen:
            for person in look.persons:
                of_person[person].append(look)
        for found in of_person.values():
            most = _most_within(found, window)
            if len(most) >= limits.often_times:
                counts = {"looks": len(most), "days": limits.often_days}
                yield Finding("one-person-often", *who, counts, _entries(most))


RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "more-people-than-referrals",
            "Een organisatie bekijkt veel meer mensen dan zij verwijzingen, zaken of signalen heeft.",
            "An organisation looks at far more people than it has referrals, cases or signals.",
            "Deze organisatie bekeek {people} mensen. Van {own} van hen had zij in die tijd, of in de {days} dagen "
            "daarvoor, een verwijzing, een zaak of een signaal.",
            "This organisation looked at {people} people. Of {own} of them it had a referral, a case or a signal "
            "in that time, or in the {days} days before.",
            _more_people,
        ),
        Rule(
            "outside-working-hours",
            "Een medewerker bekijkt gegevens buiten werktijd: in de avond, de nacht, het weekend of op een feestdag.",
            "An employee looks at data outside working hours: in the evening, at night, at the weekend or on a "
            "public holiday.",
            "Deze medewerker keek {looks} keer buiten werktijd, van {of} keer in totaal.",
            "This employee looked {looks} times outside working hours, of {of} times in all.",
            _outside_hours,
        ),
        Rule(
            "one-person-often",
            "Een medewerker bekijkt vaak dezelfde persoon.",
            "An employee often looks at the same person.",
            "Deze medewerker bekeek een en dezelfde persoon {looks} keer binnen {days} dagen.",
            "This employee looked at one and the same person {looks} times within {days} days.",
            _one_person_often,
        ),
    )
}


def _employee(look: Seen) -> tuple[str, str, str]:
    return look.organisation, look.service, look.employee


def _by(looks: Iterable[Seen], key: Callable[[Seen], Key]) -> dict[Key, list[Seen]]:
    found: dict[Key, list[Seen]] = defaultdict(list)
    for look in looks:
        found[key(look)].append(look)
    return found


def _most_within(looks: Sequence[Seen], window: timedelta) -> Sequence[Seen]:
    """The most of these looks that lie within a window, wherever that begins."""
    looks = sorted(looks, key=lambda look: look.at)
    start, best = 0, (0, 0)
    for end, look in enumerate(looks, 1):
        while look.at - looks[start].at >= window:
            start += 1
        if end - start > best[1] - best[0]:
            best = start, end
    return looks[slice(*best)]


def _entries(looks: Iterable[Seen]) -> list[int]:
    return sorted(look.entry for look in looks)[:SHOWN]
