"""Who may see what of a person: two tables, and the rules of safe contact."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from services.intake.domain.person import contact

Values = Mapping[str, Any]
ContactField = Literal["address", "phone", "email"]
ADDRESS = ("postcode", "houseNumber", "houseNumberAddition")
_ALL = frozenset({"bsn", "name", "surname", "birthDate", *ADDRESS, "phone", "email"})

# What a receiver of a referral may see, by its kind. BSN: only public bodies with a legal basis, never volunteers.
FIELDS: dict[str, frozenset[str]] = {
    "municipality": _ALL,
    "debt-counselling": _ALL,
    "neighbourhood-team": frozenset({"name", "surname", "birthDate", *ADDRESS, "phone", "email"}),
    "volunteers": frozenset({"name", "surname", *ADDRESS, "phone", "email"}),
    "fund": frozenset({"name", "surname", "birthDate", "postcode", "phone", "email"}),
    "food-bank": frozenset({"name", "surname", "postcode", "phone", "email"}),
    "digital": frozenset({"name", "phone", "email"}),
    "self-help": frozenset(),
    "creditor": frozenset(),
    "school": frozenset(),
    "employer": frozenset(),
}
# What leaves the chain only on a professional's word, once a person may not be reached in every way.
WITHHELD: dict[ContactField, frozenset[str]] = {
    "address": frozenset(ADDRESS),
    "phone": frozenset({"phone"}),
    "email": frozenset({"email"}),
}
CONTACT_FIELDS: tuple[ContactField, ...] = ("address", "phone", "email")


def contact_details(values: Values) -> dict[str, Any]:
    """All that a safe-contact rule withholds, as the vault has it."""
    known = {**values.get("identity", {}), **contact(values)}
    return {name: known[name] for names in WITHHELD.values() for name in names if name in known}


def view(kind: str, values: Values, released: Collection[ContactField]) -> dict[str, Any]:
    """What an organisation of this kind sees of a person's values (by kind of value, as the vault has them).

    Where the person set a safe-contact rule: the rule, and of the contact details only what was released.
    """
    known = {**values.get("identity", {}), **contact(values)}
    allowed = set(FIELDS.get(kind, frozenset()))
    restrictions = list(values.get("safe-contact", ()))
    answer: dict[str, Any] = {}
    if restrictions:
        hidden = [field for field in CONTACT_FIELDS if field not in released]
        names = {name for field in hidden for name in WITHHELD[field]}
        answer["withheld"] = sorted(name for name in names & allowed if name in known)
        allowed -= names
    person = {name: known[name] for name in sorted(allowed) if name in known}
    return {"person": person, "safeContact": {"restricted": bool(restrictions), "rules": restrictions}} | answer
