"""The trail in MongoDB: `entries` numbered 0, 1, 2 … without gaps, and what is known of erased and merged persons."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError, ExecutionTimeout

from services.audit.aliases import Aliases
from services.audit.checkpoints import INDEXES as CHECKPOINTS
from services.audit.domain.entry import Document
from services.audit.domain.search import LinesAsked, Search
from services.audit.resident_store import INDEXES as RESIDENTS
from services.audit.witness_store import INDEXES as WITNESSES
from services.chassis.mongo.database import DUPLICATE, available, passes
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.schema import CHASSIS, Schema
from services.chassis.mongo.sessions import INDEXES as SESSIONS
from services.chassis.pipeline.errors import StoreUnavailable

CHECKED = "checked"
COUNTED_AT_ONCE = 100_000
MOST_COUNTED = 100_000
AT_ONCE = 500
_IN_TIME = [("at", ASCENDING), ("_id", ASCENDING)]
# An entry pays for every one of them.
INDEXES = (
    Index("entries", ("eventId",), "append(): no event twice; known()", unique=True),
    Index("entries", ("type", "at", "_id"), "search(); lines(); numbers()"),
    Index("entries", ("about.case",), "search() by case", sparse=True),
    Index("entries", ("about.person",), "erase(); lines() by person", sparse=True),
    Index("entries", ("about.trace",), "lines() by trace", sparse=True),
    Index("aliases", ("into",), "with_aliases()"),
)
SCHEMA = Schema((*CHASSIS, *SESSIONS, *INDEXES, *CHECKPOINTS, *WITNESSES, *RESIDENTS))
# Entries of before contents were kept have a nonce of their own.
_ABOUT = {"about": ""}
_PLAIN = {"about.sealed": 0, "about.nonce": 0}


class TrailBroken(Exception):
    """An index is missing in the trail: nothing may be added before somebody has looked at it."""


class AnotherWrites(Exception):
    """The index was taken: another process adds to the trail."""


class TooMuch(StoreUnavailable):
    """More has to be read for this than a question may. Who can ask for less is told so; to others it is no answer."""


class TrailStore:
    """The entries, who was erased and merged, and the keys that contents are sealed under."""

    def __init__(self, database: AsyncIOMotorDatabase[Document], *, search_ms: int = 10_000) -> None:
        """`search_ms`: how long the database may take for a question that reads many entries."""
        self._entries = database["entries"]
        self._state = database["trail"]
        self._tombstones = database["tombstones"]
        self._aliases = database["aliases"]
        self._walks = Aliases(database)
        self._keys = database["person_keys"]
        self._search_ms = search_ms

    async def end(self) -> int:
        """How many entries there are, by the last one's number."""
        async with available():
            last = await self._entries.find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return int(last["_id"]) + 1 if last else 0

    async def next_index(self) -> int:
        """Where the trail goes on. Raises TrailBroken where an index is missing since the last time this was asked."""
        async with available():
            # In this order: another writer may add entries in between, and then what was checked is behind the last.
            state = await self._state.find_one({"_id": CHECKED})
            last = await self._entries.find_one({}, {"_id": 1}, sort=[("_id", -1)])
            start, end = (state["next"] if state else 0), (last["_id"] + 1 if last else 0)
            if end < start:
                raise TrailBroken(f"{start} entries were there, and {end} are")
            for piece in range(start, end, COUNTED_AT_ONCE):
                await self._check(piece, min(piece + COUNTED_AT_ONCE, end))
        return int(end)

    async def _check(self, start: int, end: int) -> None:
        """See that no index is missing from `start` to before `end`, and remember it: a trail of years is never
        counted in one go."""
        there = await self._entries.count_documents({"_id": {"$gte": start, "$lt": end}})
        if there != end - start:
            raise TrailBroken(f"{there} entries stand where {end - start} should, from {start} to before {end}")
        await self._state.update_one({"_id": CHECKED}, {"$set": {"next": end}}, upsert=True)

    async def append(self, leaves: Sequence[Document]) -> int:
        """Insert in order, and stop at an event that the trail has already. How many went in, by majority.

        Raises: AnotherWrites where an index is taken; StoreUnavailable.
        """
        async with available():
            try:
                await self._entries.insert_many(leaves, ordered=True)
            except BulkWriteError as error:
                if passes(error):
                    raise
                return _inserted_before(error.details)
        return len(leaves)

    async def known(self, event_ids: Collection[str]) -> dict[str, Document]:
        """Which of these events the trail has, by majority: their entries, with no more of `about` than `awaited`."""
        fields = {"eventId": 1, "commitment": 1, "type": 1, "source": 1, "about.awaited": 1}
        async with available():
            found = self._entries.find({"eventId": {"$in": list(event_ids)}}, fields)
            return {entry["eventId"]: entry async for entry in found}

    async def fill(self, abouts: Mapping[int, Document | None]) -> None:
        """Give entries that were rebuilt without their contents what stands beside their leaves; None: nothing."""
        operations = [
            UpdateOne({"_id": n, "about.awaited": True}, {"$set": {"about": about}} if about else {"$unset": _ABOUT})
            for n, about in abouts.items()
        ]
        async with available():
            await self._entries.bulk_write(operations, ordered=False)

    async def erased(self) -> set[str]:
        """All persons that were erased."""
        async with available():
            return {tombstone["_id"] async for tombstone in self._tombstones.find({}, {"_id": 1})}

    async def alias(self, pairs: Collection[tuple[str, str]]) -> None:
        """Remember which person is another one; again is harmless."""
        async with available():
            await self._aliases.bulk_write(
                [UpdateOne({"_id": person}, {"$set": {"into": into}}, upsert=True) for person, into in pairs]
            )

    async def with_aliases(self, persons: Collection[str]) -> set[str]:
        """These persons, and all that were merged into them."""
        return {*persons, *await self._walks.merged(persons)}

    async def root(self, person: str) -> str:
        """Who this person is now, after all mergers."""
        return (await self._walks.roots([person])).get(person, person)

    async def erased_of(self, persons: Collection[str]) -> set[str]:
        """Which of these were erased."""
        async with available():
            found = self._tombstones.find({"_id": {"$in": list(persons)}}, {"_id": 1})
            return {tombstone["_id"] async for tombstone in found}

    async def erase(self, persons: Collection[str], at: datetime) -> None:
        """Take away all that leads from the trail to these persons; every leaf stays as it is. Again is harmless."""
        async with available():
            await self._tombstones.bulk_write(
                [UpdateOne({"_id": person}, {"$setOnInsert": {"at": at}}, upsert=True) for person in persons]
            )
            await self._keys.delete_many({"_id": {"$in": list(persons)}})
            await self._entries.update_many({"about.person": {"$in": list(persons)}}, {"$unset": _ABOUT})

    async def keys(self, persons: Collection[str]) -> list[Document]:
        """The wrapped keys of these persons: {_id: person, label, key}."""
        async with available():
            return await self._keys.find({"_id": {"$in": list(persons)}}).to_list(None)

    async def add_keys(self, documents: Sequence[Document]) -> set[str]:
        """Store these keys. Whose went in: not those of persons who have one already."""
        async with available():
            try:
                await self._keys.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                if passes(error):
                    raise
                taken = {documents[n]["_id"] for n in _taken(error.details)}
                return {document["_id"] for document in documents} - taken
        return {document["_id"] for document in documents}

    async def search(self, search: Search, page: int, per_page: int) -> tuple[list[Document], int]:
        """One page (from 1) of what fits, in the order of time, and how many fit; as many as MOST_COUNTED + 1 is more.

        Raises: TooMuch, StoreUnavailable.
        """
        async with self._in_time():
            query = await self._query(search)
            found = self._entries.find(query).sort(_IN_TIME).skip((page - 1) * per_page).limit(per_page)
            entries = await found.max_time_ms(self._search_ms).to_list(per_page)
            if search == Search():
                return entries, await self._entries.estimated_document_count()
            return entries, await self._count(query, MOST_COUNTED + 1)

    async def count(self, search: Search, most: int) -> int:
        """How many fit; not counted further than `most`. Raises TooMuch, StoreUnavailable."""
        async with self._in_time():
            return await self._count(await self._query(search), most)

    async def _count(self, query: Document, most: int) -> int:
        return await self._entries.count_documents(query, limit=most, maxTimeMS=self._search_ms)

    async def all_of(self, search: Search) -> AsyncIterator[list[Document]]:
        """All that fits, in the order of time, some at a time."""
        async with available():
            found = self._entries.find(await self._query(search)).sort(_IN_TIME).batch_size(AT_ONCE)
            while batch := await found.to_list(AT_ONCE):
                yield batch

    async def persons_of(self, case: str) -> list[str]:
        """Whom this case is about, by its entries."""
        async with available():
            return sorted(await self._entries.distinct("about.person", {"about.case": case}))

    async def _query(self, search: Search) -> Document:
        at = _within(search.since, search.until)
        query: Document = {"at": at} if at else {}
        for name, wanted in (("activity", search.activity), ("organisation", search.organisation)):
            if wanted:
                query[name] = wanted
        if search.case:
            query["about.case"] = search.case
        types = search.types
        if types is None and not search.case:
            # With every type named the index on type and time gives the order of time, by merging: one index less.
            types = await self._entries.distinct("type")
        return query | ({"type": {"$in": types}} if types else {})

    async def lines(
        self, asked: LinesAsked, types: Sequence[str], limit: int, *, newest_first: bool = False, skip: int = 0
    ) -> list[Document]:
        """Entries of these types with their sealed contents, in the order of time or against it, `limit` at most.

        Raises: TooMuch, StoreUnavailable.
        """
        order = [(name, DESCENDING) for name, _ in _IN_TIME] if newest_first else _IN_TIME
        query: Document = {"type": {"$in": list(types)}}
        if asked.activity:
            query["activity"] = asked.activity
        if asked.trace:
            query["about.trace"] = asked.trace
        if asked.persons:
            query["about.person"] = {"$in": sorted(asked.persons)}
        if at := _within(asked.since, asked.until):
            query["at"] = at
        async with self._in_time():
            found = self._entries.find(query, {"about.nonce": 0}).max_time_ms(self._search_ms)
            return await found.sort(order).skip(skip).limit(limit).to_list(limit)

    async def opened(self, case: str, event_type: str) -> list[Document]:
        """The entries of this type of a case, with their sealed contents."""
        async with available():
            return await self._entries.find({"about.case": case, "type": event_type}).to_list(None)

    async def numbers(self, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        """The first number of an entry from `since` to before `until`, and the one after the last; (0, 0): none is.

        Raises: TooMuch, StoreUnavailable.
        """
        if since is None and until is None:
            return 0, await self.end()
        at = {name: at for name, at in (("$gte", since), ("$lt", until)) if at}
        async with self._in_time():
            query = {"type": {"$in": await self._entries.distinct("type")}, "at": at}
            ends = {"_id": None, "first": {"$min": "$_id"}, "last": {"$max": "$_id"}}
            asked: list[Document] = [{"$match": query}, {"$group": ends}]
            found = await self._entries.aggregate(asked, maxTimeMS=self._search_ms).to_list(1)
        return (found[0]["first"], found[0]["last"] + 1) if found else (0, 0)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        async with available():
            try:
                yield
            except ExecutionTimeout as error:
                raise TooMuch from error

    async def of_event(self, event_id: str) -> Document | None:
        """The entry of this event."""
        async with available():
            return await self._entries.find_one({"eventId": event_id}, _PLAIN)

    async def entry(self, index: int) -> Document | None:
        """The entry with this number."""
        async with available():
            return await self._entries.find_one({"_id": index})


def _inserted_before(details: Any) -> int:
    if details.get("writeConcernErrors"):
        raise StoreUnavailable("write concern")
    (failure,) = details["writeErrors"]
    if failure["code"] != DUPLICATE:
        raise StoreUnavailable(f"code {failure['code']}")
    if "eventId" not in failure.get("keyPattern", {}):
        raise AnotherWrites(f"index {failure.get('keyValue', {}).get('_id')} is taken")
    return int(failure["index"])


def _taken(details: Any) -> list[int]:
    """Which of an unordered insert were there already. Raises StoreUnavailable for any other failure."""
    if details.get("writeConcernErrors"):
        raise StoreUnavailable("write concern")
    for failure in details["writeErrors"]:
        if failure["code"] != DUPLICATE:
            raise StoreUnavailable(f"code {failure['code']}")
    return [failure["index"] for failure in details["writeErrors"]]


def _within(since: datetime | None, until: datetime | None) -> Document:
    return {name: at for name, at in (("$gte", since), ("$lte", until)) if at}
