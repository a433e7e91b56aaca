"""The rules by which help is proposed: each says of one service whether it fits one need, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple

from hulpketen_contracts import ServiceChanged

MUNICIPAL = "gemeentelijke-schuldhulpverlening"
LOCAL = "lokale-vrijwilliger-of-professional"
DIGITAL = "digitale-vrijwilliger"
SELF_HELP = "zelfhulp"


class Need(NamedTuple):
    """What is known of a case: all that a rule may look at. `partner_types` in alphabetical order."""

    municipality: str
    crisis: bool
    kind: str
    exit: str | None
    partner_types: tuple[str, ...]


class Verdict(NamedTuple):
    """Met, unmet, or None: it cannot be known from here. `detail` is a code that explains it (see texts.py)."""

    met: bool | None
    detail: str


class Rule(NamedTuple):
    """A rule, by its code."""

    code: str
    judge: Callable[[ServiceChanged, Need, date], Verdict]


# Which exits fit, the best first; the first row whose conditions hold. None: whatever it is.
EXITS: tuple[tuple[bool | None, str | None, str | None, tuple[str, ...]], ...] = (
    # crisis, exit of the test, kind
    (True, None, None, (MUNICIPAL, LOCAL)),
    (None, MUNICIPAL, None, (MUNICIPAL, LOCAL)),
    (None, LOCAL, None, (LOCAL, DIGITAL)),
    (None, DIGITAL, None, (DIGITAL, SELF_HELP, LOCAL)),
    (None, SELF_HELP, None, (SELF_HELP, DIGITAL)),
    (None, None, "multiple", (MUNICIPAL, LOCAL)),
    (None, None, "single", (LOCAL, DIGITAL, SELF_HELP)),
)

# What a signal of a partner says that may be needed; each that is not named here: debts.
NEEDS: Mapping[str, frozenset[str]] = {
    "School": frozenset({"children"}),
    "Wijkteam": frozenset({"debts", "income"}),
    "Inwoner": frozenset({"debts", "income"}),
}
DEBTS = frozenset({"debts"})

# What a kind of help is for.
SERVES: Mapping[str, frozenset[str]] = {
    "debt-counselling": DEBTS,
    "volunteers": DEBTS,
    "digital": DEBTS,
    "self-help": DEBTS,
    "neighbourhood-team": frozenset({"debts", "income", "children"}),
    "food-bank": frozenset({"income"}),
    "fund": frozenset({"children"}),
}

CAPACITY: Mapping[str | None, Verdict] = {
    "capacity": Verdict(True, "has-capacity"),
    "waitlist": Verdict(True, "has-waiting-list"),
    "additional-assessment-required": Verdict(None, "assessment-needed"),
    "no-capacity": Verdict(False, "no-capacity"),
    None: Verdict(None, "capacity-unknown"),
}


def exits_for(need: Need) -> tuple[str, ...]:
    """The exits that fit a need, the best first."""
    facts = (need.crisis, need.exit, need.kind)
    for *conditions, exits in EXITS:
        if all(c is None or c == fact for c, fact in zip(conditions, facts, strict=True)):
            return exits
    return ()


def serves_municipality(service: ServiceChanged, need: Need, _: date) -> Verdict:
    """Is it offered where the person lives?"""
    served = need.municipality in service.municipalities
    return Verdict(served, "offered-here" if served else "not-offered-here")


def is_active(service: ServiceChanged, _: Need, __: date) -> Verdict:
    """Is it open (HSDS status)?"""
    return Verdict(service.status == "active", service.status.replace(" ", "-"))


def has_capacity(service: ServiceChanged, _: Need, __: date) -> Verdict:
    """Is there room?"""
    return CAPACITY[service.capacity]


def exit_fits(service: ServiceChanged, need: Need, _: date) -> Verdict:
    """Is it at an exit of the test that fits this case?"""
    if not service.exits:
        return Verdict(None, "exits-unknown")
    exits = exits_for(need)
    if exits and exits[0] in service.exits:
        return Verdict(True, "best-exit")
    fits = not set(exits).isdisjoint(service.exits)
    return Verdict(fits, "possible-exit" if fits else "other-exit")


def need_fits(service: ServiceChanged, need: Need, _: date) -> Verdict:
    """Is it help for what the signals tell of?"""
    serves = SERVES.get(service.kind)
    if serves is None:
        return Verdict(None, "kind-unknown")
    fits = any(not serves.isdisjoint(NEEDS.get(partner, DEBTS)) for partner in need.partner_types)
    return Verdict(fits, "fits-need" if fits else "other-need")


def crisis_first(service: ServiceChanged, need: Need, _: date) -> Verdict:
    """In a threatening situation the municipality's debt help goes first; other help may stand beside it."""
    if not need.crisis:
        return Verdict(True, "no-crisis")
    return Verdict(True, "goes-first") if MUNICIPAL in service.exits else Verdict(None, "beside-municipal-help")


def age_fits(service: ServiceChanged, _: Need, __: date) -> Verdict:
    """Is there a limit of age? No event holds an age, so that only a human can see whether it is met."""
    limited = service.minimum_age is not None or service.maximum_age is not None
    return Verdict(None, "age-unknown") if limited else Verdict(True, "no-age-limit")


def conditions_met(service: ServiceChanged, _: Need, day: date) -> Verdict:
    """Are there conditions in force (income, for example)? Whether they are met only a human can see."""
    in_force = any(
        (rule.valid_from is None or rule.valid_from <= day) and (rule.valid_until is None or day <= rule.valid_until)
        for rule in service.eligibility
    )
    return Verdict(None, "conditions-to-check") if in_force else Verdict(True, "no-conditions")


RULES: tuple[Rule, ...] = (
    Rule("municipality", serves_municipality),
    Rule("status", is_active),
    Rule("capacity", has_capacity),
    Rule("exit", exit_fits),
    Rule("need", need_fits),
    Rule("crisis", crisis_first),
    Rule("age", age_fits),
    Rule("conditions", conditions_met),
)
