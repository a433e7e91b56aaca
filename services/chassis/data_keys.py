"""Keys of persons in a service's database, in documents {_id: pseudonym, label, key}: made and opened many at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from services.chassis.keys import KeyProvider, new_key

Document = dict[str, Any]
_DAY_S = 86_400


def period(moment: datetime, days: int) -> int:
    """The number of the period of so many days that this moment is in: those who come in it share a wrapping key."""
    return int(moment.timestamp()) // _DAY_S // days


async def open_keys(provider: KeyProvider, documents: Iterable[Document]) -> dict[str, bytes]:
    """The key of each, by its `_id`; one question for each label. Raises KeyDestroyed, SealBroken, StoreUnavailable."""
    by_label: dict[str, list[Document]] = {}
    for document in documents:
        by_label.setdefault(document["label"], []).append(document)
    keys: dict[str, bytes] = {}
    for label, group in by_label.items():
        unwrapped = await provider.unwrap(label, [document["key"] for document in group])
        keys |= {document["_id"]: key for document, key in zip(group, unwrapped, strict=True)}
    return keys


async def make_keys(
    provider: KeyProvider, label: str, persons: Collection[str]
) -> tuple[dict[str, Document], dict[str, bytes]]:
    """A document and a key for each of these, which are not stored yet. Raises StoreUnavailable."""
    keys = {person: new_key() for person in persons}
    wrapped = await provider.wrap(label, list(keys.values()))
    documents = {person: {"_id": person, "label": label, "key": key} for person, key in zip(keys, wrapped, strict=True)}
    return documents, keys
