"""What was signed of the trail, in MongoDB: `checkpoints` by size, each with the size of the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from services.audit.domain.entry import Document
from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index

_LEAF = {"about": 0}
_GENERATION, _STOPPED = "generation", "stopped"
INDEXES = (
    Index("checkpoints", ("previous",), "add(): one follows each, whoever believes to be the writer", unique=True),
)


class Kept(NamedTuple):
    """A checkpoint: over the first `size` entries, with this root; `text` is the signed note."""

    size: int
    root: bytes
    text: str


class CheckpointStore:
    """No checkpoint is ever changed or removed here. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._checkpoints = database["checkpoints"]
        self._entries = database["entries"]
        self._state = database["trail"]

    async def generation(self) -> int:
        """Which log this is: 1, and one more each time that it had to begin again."""
        async with available():
            found = await self._state.find_one({"_id": _GENERATION})
        return int(found["number"]) if found else 1

    async def stopped(self) -> str:
        """Why nothing may be signed any more, since a restore; empty where nothing stands in the way."""
        async with available():
            found = await self._state.find_one({"_id": _STOPPED})
        return str(found["why"]) if found else ""

    async def stop(self, why: str) -> None:
        """Let nothing be signed until the trail begins again."""
        async with available():
            await self._state.update_one({"_id": _STOPPED}, {"$set": {"why": why}}, upsert=True)

    async def last(self) -> Kept | None:
        """The one over the most entries."""
        async with available():
            found = await self._checkpoints.find_one({}, sort=[("_id", DESCENDING)])
        return _kept(found) if found else None

    async def signed_at(self, size: int) -> datetime | None:
        """When the one over so many entries was signed."""
        async with available():
            found = await self._checkpoints.find_one({"_id": size}, {"at": 1})
        return found["at"] if found else None

    async def of(self, size: int) -> Kept | None:
        """The one over so many entries, where there is one."""
        async with available():
            found = await self._checkpoints.find_one({"_id": size})
        return _kept(found) if found else None

    async def add(self, kept: Kept, previous: int, at: datetime) -> bool:
        """Keep it as the one after that of `previous` entries; False where another follows that one already."""
        document = {"_id": kept.size, "previous": previous, "root": kept.root, "text": kept.text, "at": at}
        async with available():
            try:
                await self._checkpoints.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def leaves(self, start: int, count: int) -> Sequence[Document]:
        """Entries from number `start` on, at most so many, without what is beside their leaves."""
        async with available():
            found = self._entries.find({"_id": {"$gte": start, "$lt": start + count}}, _LEAF).sort("_id", 1)
            return await found.to_list(count)


def _kept(document: Document) -> Kept:
    return Kept(document["_id"], document["root"], document["text"])
