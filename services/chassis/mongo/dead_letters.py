"""Records that could not be applied: held with reason and origin, their bytes encrypted, until replayed or skipped.

Nobody validated these bytes, so they may hold anything: each day's are under a key of that day, which is destroyed
after a number of days; what is left then says only that there was a record.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from hulpketen_contracts import Position
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from services.chassis import metrics
from services.chassis.keys import KeyProvider, new_key, open_sealed, seal
from services.chassis.logs import get_logger
from services.chassis.mongo.database import Database, available, record_document, record_from
from services.chassis.mongo.indexes import Index
from services.chassis.pipeline.errors import UnknownDeadLetter
from services.chassis.pipeline.model import DeadLetter, Record

log = get_logger(__name__)
LABEL = "dead-letters"
INDEXES = (
    Index("dead_letters", ("group", "stream"), "skipped(): while a gap is open"),
    Index("dead_letters", ("at", "_id"), "page(): the oldest first"),
    Index("dead_letters", ("skipped.at",), "waiting(): those that were skipped", sparse=True),
)


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, database: Database, keys: KeyProvider) -> None:
        self._letters = database["dead_letters"]
        self._day_keys = database["dead_letter_keys"]
        self._keys = keys

    async def bury(self, group: str, incarnation: str, letters: Sequence[DeadLetter]) -> None:
        """Hold these; the same record of the same log again changes nothing. Raises StoreUnavailable."""
        now = datetime.now(UTC)
        day = now.date().isoformat()
        key = await self._day_key(day, make=True)
        operations = []
        for letter in letters:
            name = _id(group, incarnation, letter)
            sealed = seal(key, bson.encode(record_document(letter.record)), name.encode())
            document = _document(group, incarnation, letter) | {"at": now, "day": day, "bytes": sealed}
            operations.append(UpdateOne({"_id": name}, {"$setOnInsert": document}, upsert=True))
        async with available():
            done = await self._letters.bulk_write(operations, ordered=False)
        metrics.count(metrics.dead_letters, Counter((letters[n].reason,) for n in done.upserted_ids or ()))
        log.warning("dead_letters", letters=len(letters), reasons=sorted({letter.reason for letter in letters}))

    async def waiting(self) -> int:
        """How many were not skipped; about."""
        async with available():
            skipped = await self._letters.count_documents({"skipped.at": {"$gt": datetime(1970, 1, 1, tzinfo=UTC)}})
            return max(0, await self._letters.estimated_document_count() - skipped)

    async def page(self, limit: int, after: str | None) -> list[dict[str, Any]]:
        """What is held, oldest first, without the bytes; `after` is the id of the last one of the page before."""
        query: dict[str, Any] = {}
        async with available():
            if after:
                last = await self._letters.find_one({"_id": after}, {"at": 1})
                if last is None:
                    raise UnknownDeadLetter(after)
                query = {"$or": [{"at": {"$gt": last["at"]}}, {"at": last["at"], "_id": {"$gt": after}}]}
            cursor = self._letters.find(query, {"bytes": 0}).sort([("at", 1), ("_id", 1)]).limit(limit)
            return await cursor.to_list(None)

    async def show(self, id: str) -> dict[str, Any]:
        """One, without the bytes. Raises UnknownDeadLetter."""
        async with available():
            found = await self._letters.find_one({"_id": id}, {"bytes": 0})
        if found is None:
            raise UnknownDeadLetter(id)
        return dict(found)

    async def record(self, id: str) -> Record:
        """The record itself. Raises UnknownDeadLetter, also where its day's key has been destroyed."""
        async with available():
            found = await self._letters.find_one({"_id": id})
        if found is None:
            raise UnknownDeadLetter(id)
        key = await self._day_key(found["day"], make=False)
        return record_from(bson.decode(open_sealed(key, found["bytes"], id.encode())))

    async def forget(self, id: str) -> None:
        """It was applied after all."""
        async with available():
            await self._letters.delete_one({"_id": id})

    async def skip(self, id: str, reason: str) -> dict[str, Any]:
        """Pass over it for good; what is parked behind it may go on. Raises UnknownDeadLetter."""
        found = await self.show(id)
        async with available():
            skipped = {"reason": reason, "at": datetime.now(UTC)}
            await self._letters.update_one({"_id": id}, {"$set": {"skipped": skipped}})
        return found

    async def skipped(self, group: str, streams: Collection[str]) -> set[Position]:
        """Positions of these streams that were skipped."""
        query = {"group": group, "stream": {"$in": list(streams)}, "skipped": {"$exists": True}}
        async with available():
            found = await self._letters.find(query, {"stream": 1, "epoch": 1, "seq": 1}).to_list(None)
        return {Position(d["stream"], d["epoch"], d["seq"]) for d in found}

    async def destroy_keys(self, older_than: timedelta) -> int:
        """Destroy the keys of days past; how many."""
        oldest = (datetime.now(UTC) - older_than).date().isoformat()
        async with available():
            return (await self._day_keys.delete_many({"_id": {"$lt": oldest}})).deleted_count

    async def _day_key(self, day: str, *, make: bool) -> bytes:
        async with available():
            found = await self._day_keys.find_one({"_id": day})
            if found is None and make:
                (wrapped,) = await self._keys.wrap(LABEL, [new_key()])
                with suppress(DuplicateKeyError):
                    await self._day_keys.insert_one({"_id": day, "wrapped": wrapped})
                found = await self._day_keys.find_one({"_id": day})
        if found is None:
            raise UnknownDeadLetter(f"the key of {day} has been destroyed")
        (key,) = await self._keys.unwrap(LABEL, [found["wrapped"]])
        return key


def _id(group: str, incarnation: str, letter: DeadLetter) -> str:
    """By place and event: the place alone may be that of two, where a record outlived the broker that it came from."""
    record = letter.record
    origin = f"{group}|{incarnation}|{record.topic}|{record.partition}|{record.offset}|{letter.position}"
    return hashlib.sha256(origin.encode()).hexdigest()[:32]


def _document(group: str, incarnation: str, letter: DeadLetter) -> dict[str, Any]:
    record = letter.record
    document = {
        "group": group,
        "incarnation": incarnation,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": letter.reason,
        "detail": letter.detail,
    }
    if letter.position:
        document |= letter.position._asdict()
    return document
