"""Numbered feeds in MongoDB: one collection, `_id` is reader and number, each event once for a reader."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import MaxKey, MinKey
from pymongo.errors import BulkWriteError

from services.chassis.mongo.database import DUPLICATE, Database, available
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.restored import MARK
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Outgoing
from services.chassis.pipeline.ports import Line

INDEXES = (
    Index("feed", ("_id.org", "event"), "append(): each event once for a reader; known(), feeds()", unique=True),
)


class MongoFeeds:
    """The FeedStore port. A line: {_id: {org, n}, event, at, topic, key, headers, value}."""

    def __init__(self, database: Database) -> None:
        self.collection = database["feed"]
        self._marks = database[MARK]
        self._restored_at: int | None = None

    async def last(self, reader: str) -> int:
        async with available():
            found = await self.collection.find_one(_between(reader, MinKey(), MaxKey()), {"_id": 1}, sort=[("_id", -1)])
        return max(int(found["_id"]["n"]) if found else 0, await self._base())

    async def first(self, reader: str) -> int:
        """The lowest number that a reader may go on from; where there is no line that of the next, 0 at first."""
        base = await self._base()
        low = base + 1 if base else MinKey()
        async with available():
            found = await self.collection.find_one(_between(reader, low, MaxKey()), {"_id": 1}, sort=[("_id", 1)])
        return int(found["_id"]["n"]) if found else base and base + 1

    async def _base(self) -> int:
        """No number up to this one is given any more: 0, or the milliseconds since 1970 of the last restore.

        Before it the feed had given numbers that the backup does not know; no feed grows by a thousand lines a second
        for years, so this one is higher. Who has one of those is told to begin anew (410).
        """
        if self._restored_at is None:
            async with available():
                mark = await self._marks.find_one({"_id": "mark"}, {"restored_at": 1})
            self._restored_at = int(mark["restored_at"].timestamp() * 1000) if mark else 0
        return self._restored_at

    async def append(self, reader: str, first: int, lines: Sequence[Line]) -> int:
        now = datetime.now(UTC)
        documents = [_document(reader, first + i, line, now) for i, line in enumerate(lines)]
        taken = await self._insert(documents, ordered=True)
        return taken[0] if taken else len(lines)

    async def append_to_each(self, numbers: Mapping[str, int], line: Line) -> set[str]:
        now = datetime.now(UTC)
        readers = list(numbers)
        documents = [_document(reader, numbers[reader], line, now) for reader in readers]
        taken = await self._insert(documents, ordered=False)
        return set(readers) - {readers[i] for i in taken}

    async def _insert(self, documents: Sequence[dict[str, Any]], *, ordered: bool) -> list[int]:
        """Those that did not go in, since their number is taken or their event is there."""
        async with available():
            try:
                await self.collection.insert_many(documents, ordered=ordered)
            except BulkWriteError as error:
                failures = error.details["writeErrors"]
                if not failures or error.details.get("writeConcernErrors"):
                    raise StoreUnavailable("write concern") from error
                if any(failure["code"] != DUPLICATE for failure in failures):
                    raise
                return [int(failure["index"]) for failure in failures]
        return []

    async def known(self, reader: str, event_ids: Collection[str]) -> set[str]:
        query = {"_id.org": reader, "event": {"$in": list(event_ids)}}
        async with available():
            found = await self.collection.find(query, {"event": 1, "_id": 0}).to_list(None)
        return {document["event"] for document in found}

    async def after(self, reader: str, n: int, limit: int) -> list[tuple[int, Outgoing]]:
        """Lines after number n, in order, at most `limit`."""
        async with available():
            found = (
                await self.collection.find(_between(reader, n + 1, MaxKey())).sort("_id", 1).limit(limit).to_list(None)
            )
        return [numbered(document) for document in found]

    async def written_after(self, reader: str, n: int) -> datetime | None:
        """When the first line after number n was written; None where there is none."""
        async with available():
            found = await self.collection.find_one(_between(reader, n + 1, MaxKey()), {"at": 1}, sort=[("_id", 1)])
        return found["at"] if found else None


def numbered(document: Mapping[str, Any]) -> tuple[int, Outgoing]:
    """The number and the record of a line as it stands in the collection."""
    record = Outgoing(document["topic"], document["key"], document["headers"], document["value"])
    return int(document["_id"]["n"]), record


def _document(reader: str, n: int, line: Line, now: datetime) -> dict[str, Any]:
    record = line.record
    return {
        "_id": {"org": reader, "n": n},
        "event": line.event_id,
        "at": now,
        "topic": record.topic,
        "key": record.key,
        "headers": record.headers,
        "value": record.value,
    }


def _between(reader: str, low: Any, high: Any) -> dict[str, Any]:
    return {"_id": {"$gte": {"org": reader, "n": low}, "$lte": {"org": reader, "n": high}}}
