"""What the vault holds of a person, and how what a new record says joins it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Values = dict[str, Any]
# Contact details by who gave them, weakest first: who sends a signal; the person, by a code; a professional.
Source = Literal["contact", "contact-person", "contact-professional"]
SENDER: Source = "contact"
PERSON: Source = "contact-person"
PROFESSIONAL: Source = "contact-professional"
_SOURCES = (SENDER, PERSON, PROFESSIONAL)


def merged(known: Mapping[str, Any], new: Mapping[str, Any]) -> Values:
    """Values by kind. Newer details replace older ones; a safe-contact rule is only ever added to here."""
    values = dict(known)
    for kind, value in new.items():
        if kind == "safe-contact":
            values[kind] = sorted({*known.get(kind, ()), *value})
        else:
            values[kind] = {**known.get(kind, {}), **value}
    return values


def contact(values: Mapping[str, Any]) -> dict[str, Any]:
    """Name, phone and email: of each the newest that the strongest source gave."""
    return {name: value for source in _SOURCES for name, value in values.get(source, {}).items()}


def said_by(values: Mapping[str, Any], source: Source) -> Values:
    """The same values, with their contact details as given by this source."""
    return {kind: value for kind, value in values.items() if kind not in _SOURCES} | {source: contact(values)}


def proofs(values: Mapping[str, Any]) -> set[str]:
    """Telephones and mailboxes whose holder is this person: not those that only a sender of signals named."""
    given = [values.get(source, {}) for source in (PERSON, PROFESSIONAL)]
    return {each[name].casefold() for each in given for name in ("phone", "email") if name in each}
