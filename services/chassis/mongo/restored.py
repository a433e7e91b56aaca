"""What a restore leaves in a service's database: a mark, persons to be erased again, and own events to be redone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hulpketen_contracts import Position
from pymongo import ASCENDING, UpdateOne

from services.chassis.mongo.database import Database, available, record_document, record_from
from services.chassis.pipeline.model import Record
from services.chassis.preflight import NotReady

# The collections, also of deploy/backup, which writes the first two.
MARK, ERASURES, FOUND = "restored", "erasures", "found_again"
RESTORING, RESTORED, CAUGHT_UP = "restoring", "restored", "caught-up"


class Mark(NamedTuple):
    """A restore: when the backup was taken, when it was restored, and whether the whole chain was with it.

    `incarnation`: the broker's as the backup knows it; `epoch`: that of streams that begin.
    """

    status: str
    taken_at: datetime
    restored_at: datetime
    whole: bool
    incarnation: str
    epoch: int

    @property
    def fresh_epoch(self) -> int:
        """Higher than any that this database, or a former life of it, gave: the seconds since 1970."""
        return int(self.restored_at.timestamp())


class FoundAgain(NamedTuple):
    """A record that the restored state does not know: an event of our own, or one that feeds the aggregate."""

    aggregate: str
    own: bool
    position: Position
    record: Record


class RestoredDatabase:
    """What catching up needs of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._marks = database[MARK]
        self._found = database[FOUND]
        self._aggregates = database["aggregates"]

    async def mark(self) -> Mark | None:
        """The last restore, None where there never was one. Raises NotReady in the midst of one."""
        async with available():
            found = await self._marks.find_one({"_id": "mark"})
        if found is None:
            return None
        if found["status"] == RESTORING:
            raise NotReady("a restore of the database was begun and did not end", "run 'hulpketen restore' again")
        return Mark(*(found[name] for name in Mark._fields))

    async def caught_up(self) -> None:
        """From now on it is a database like any other."""
        async with available():
            await self._found.drop()
            await self._database[ERASURES].drop()
            await self._marks.update_one(
                {"_id": "mark"}, {"$set": {"status": CAUGHT_UP, "ended_at": datetime.now(UTC)}}
            )

    async def erasures(self) -> list[str]:
        """Pseudonyms of persons that were erased, perhaps after the backup."""
        async with available():
            return [str(each["_id"]) async for each in self._database[ERASURES].find({}, {"_id": 1})]

    async def hold(self, found: Sequence[FoundAgain]) -> None:
        """Hold these until all are there; again is harmless."""
        operations = [UpdateOne({"_id": _id(each)}, {"$setOnInsert": _document(each)}, upsert=True) for each in found]
        async with available():
            await self._found.create_index([("aggregate", ASCENDING)])
            await self._found.bulk_write(operations, ordered=False)

    async def with_own(self, aggregates: Sequence[str]) -> set[str]:
        """Which of these have an own event that is held."""
        async with available():
            return set(await self._found.distinct("aggregate", {"aggregate": {"$in": list(aggregates)}, "own": True}))

    async def held(self) -> AsyncIterator[list[FoundAgain]]:
        """What is held, an aggregate at a time, in the order of the positions."""
        group: list[FoundAgain] = []
        async with available():
            async for document in self._found.find().sort("aggregate", ASCENDING):
                each = _found(document)
                if group and group[0].aggregate != each.aggregate:
                    yield sorted(group, key=lambda one: one.position)
                    group = []
                group.append(each)
        if group:
            yield sorted(group, key=lambda one: one.position)

    async def let_go(self) -> None:
        """All that was held is applied."""
        async with available():
            await self._found.drop()

    async def begin_epoch(self, epoch: int) -> None:
        """Every stream goes on at (epoch, 1); only once all outboxes are empty. Again is harmless."""
        async with available():
            await self._aggregates.update_many(
                {"epoch": {"$lt": epoch}}, {"$set": {"epoch": epoch, "seq": 0}, "$inc": {"v": 1}}
            )
            await self._marks.update_one({"_id": "mark"}, {"$set": {"epoch": epoch}})


def _id(each: FoundAgain) -> str:
    return f"{each.aggregate}/{each.own}/{each.position.stream}/{each.position.epoch}/{each.position.seq}"


def _document(each: FoundAgain) -> dict[str, Any]:
    return {
        "aggregate": each.aggregate,
        "own": each.own,
        "position": list(each.position),
        "record": record_document(each.record),
    }


def _found(document: dict[str, Any]) -> FoundAgain:
    return FoundAgain(
        document["aggregate"], document["own"], Position(*document["position"]), record_from(document["record"])
    )
