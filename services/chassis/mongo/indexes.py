"""Indexes as code: each with the query that it is for, compared with what a database has, and made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import OperationFailure

from services.chassis.mongo.database import Database, available

_OPTIONS = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds")
_NOT_FOUND = frozenset({26, 27})  # NamespaceNotFound, IndexNotFound


@dataclass(frozen=True)
class Index:
    """`keys`: fields in order, a descending one with "-" in front. `serves`: the methods whose query it is for.

    `unique` with a word on why: it is a rule then, and not for speed. `partial`: only documents that fit are in it.
    `expires_s`: MongoDB removes a document so many seconds after the time that is its key.
    """

    collection: str
    keys: tuple[str, ...]
    serves: str
    unique: bool = False
    sparse: bool = False
    partial: Mapping[str, Any] | None = None
    expires_s: int | None = None

    @property
    def pattern(self) -> tuple[tuple[str, int], ...]:
        """The keys as MongoDB has them; one index of a collection for each."""
        return tuple((key.lstrip("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in self.keys)

    @property
    def options(self) -> dict[str, Any]:
        """What it is beside its keys, in MongoDB's words."""
        given = (self.unique or None, self.sparse or None, self.partial, self.expires_s)
        return {name: value for name, value in zip(_OPTIONS, given, strict=True) if value is not None}

    def __str__(self) -> str:
        return f"{self.collection} ({', '.join(self.keys)})"


class Found(NamedTuple):
    """An index as it stands in the database."""

    collection: str
    name: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.collection} {self.name}"


class Differences(NamedTuple):
    """What a database has other than the list. `changed`: the same keys with other options, as `(wanted, found)`."""

    missing: Sequence[Index]
    changed: Sequence[tuple[Index, Found]]
    unknown: Sequence[Found]

    @property
    def to_make(self) -> bool:
        """Whether the list asks for something."""
        return bool(self.missing or self.changed)


class OtherOptions(Exception):
    """An index stands in the way of one of the list: somebody must say that it may be dropped."""


async def compare(database: Database, indexes: Iterable[Index]) -> Differences:
    """Raises StoreUnavailable."""
    wanted = {(index.collection, index.pattern): index for index in indexes}
    changed, unknown = [], []
    async with available():
        for name in sorted(await database.list_collection_names(filter={"type": "collection"})):
            async for document in database[name].list_indexes():
                options = {k: document[k] for k in _OPTIONS if document.get(k) is not None and document[k] is not False}
                found = Found(name, document["name"], options)
                index = wanted.pop((name, tuple(document["key"].items())), None)
                if index and index.options != found.options:
                    changed.append((index, found))
                elif index is None and found.name != "_id_" and not name.startswith("system."):
                    unknown.append(found)
    return Differences(list(wanted.values()), changed, unknown)


async def make(database: Database, differences: Differences, *, drop: bool = False) -> None:
    """Make what the list asks for; again, or in two processes at once, is harmless.

    With `drop` it drops what is in no list, and what has other options. Without, only an index whose time of expiry
    changed is made anew, since no query goes by it. Raises OtherOptions, StoreUnavailable.
    """
    in_the_way = [found for index, found in differences.changed if not (drop or _expiry_alone(index, found))]
    if in_the_way:
        raise OtherOptions(str(in_the_way[0]))
    await _drop(database, [*(found for _, found in differences.changed), *(differences.unknown if drop else ())])
    wanted: dict[str, list[IndexModel]] = {}
    for index in (*differences.missing, *(index for index, _ in differences.changed)):
        wanted.setdefault(index.collection, []).append(IndexModel(index.pattern, **index.options))
    async with available():
        for collection, models in wanted.items():
            await database[collection].create_indexes(models)


async def _drop(database: Database, indexes: Iterable[Found]) -> None:
    async with available():
        for found in indexes:
            try:
                await database[found.collection].drop_index(found.name)
            except OperationFailure as error:
                if error.code not in _NOT_FOUND:
                    raise


def _expiry_alone(index: Index, found: Found) -> bool:
    both = index.expires_s is not None and "expireAfterSeconds" in found.options
    return both and index.options == {**found.options, "expireAfterSeconds": index.expires_s}


async def make_all(database: Database, indexes: Iterable[Index]) -> None:
    """Make those that are not there. Raises OtherOptions, StoreUnavailable."""
    await make(database, await compare(database, indexes))
