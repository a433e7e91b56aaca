"""What the vault holds of a person, and how what a new record says joins it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Values = dict[str, Any]


def merged(known: Mapping[str, Any], new: Mapping[str, Any]) -> Values:
    """Values by kind. Newer details replace older ones; a safe-contact rule is only ever added to here."""
    values = dict(known)
    for kind, value in new.items():
        if kind == "safe-contact":
            values[kind] = sorted({*known.get(kind, ()), *value})
        else:
            values[kind] = {**known.get(kind, {}), **value}
    return values
