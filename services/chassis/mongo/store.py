"""The pipeline's own collections in MongoDB: aggregates with their outboxes, kept and parked records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.errors import InvalidDocument
from hulpketen_contracts import Position
from pymongo import ASCENDING, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError

from services.chassis.mongo.database import DUPLICATE, Database, available, passes, record_document, record_from
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.indexes import Index
from services.chassis.pipeline.errors import StoreUnavailable, WriteRefused
from services.chassis.pipeline.model import Ack, DeadLetter, Outgoing, Parked
from services.chassis.pipeline.ports import Cleared, Document, Kept, Write

KEPT_RECORDS = 500
KEPT_BYTES = 4_000_000
INDEXES = (
    Index("aggregates", ("due",), "due(), waiting(), oldest_due(): what the relay publishes", sparse=True),
    Index("kept", ("incarnation",), "kept_elsewhere(): what to publish again"),
    Index("parked", ("group", "stream"), "parked(): what waits in a stream"),
    Index("parked", ("group", "at"), "parked_before(): what waits for long"),
)
_DUE = {"due": {"$gt": datetime(1970, 1, 1, tzinfo=UTC)}}


class MongoStore:
    """The Store port over MongoDB."""

    def __init__(
        self,
        database: Database,
        dead_letters: DeadLetters,
        *,
        collection: str = "aggregates",
        reference_topics: Collection[str] = (),
    ) -> None:
        self._aggregates = database[collection]
        self._kept = database["kept"]
        self._parked = database["parked"]
        self._dead_letters = dead_letters
        self._reference_topics = frozenset(reference_topics)

    async def load(self, ids: Collection[str]) -> dict[str, Document]:
        async with available():
            found = await self._aggregates.find({"_id": {"$in": list(ids)}}).to_list(None)
        return {document["_id"]: document for document in found}

    async def write(self, writes: Sequence[Write]) -> list[bool | Exception]:
        operations = [_operation(write) for write in writes]
        try:
            return await self._bulk(operations)
        except (DocumentTooLarge, InvalidDocument):
            return [await self._alone(operation) for operation in operations]

    async def _bulk(self, operations: Sequence[Any]) -> list[bool | Exception]:
        results: list[bool | Exception] = [True] * len(operations)
        async with available():
            try:
                await self._aggregates.bulk_write(operations, ordered=False)
            except BulkWriteError as error:
                if passes(error):
                    raise
                details = error.details
                if details.get("writeConcernErrors"):
                    raise StoreUnavailable("write concern") from error
                for failure in details["writeErrors"]:
                    lost = failure["code"] == DUPLICATE
                    results[failure["index"]] = False if lost else WriteRefused(f"code {failure['code']}")
        return results

    async def _alone(self, operation: Any) -> bool | Exception:
        try:
            (result,) = await self._bulk([operation])
        except (DocumentTooLarge, InvalidDocument) as error:
            return WriteRefused(type(error).__name__)
        return result

    async def clear(self, cleared: Sequence[Cleared]) -> None:
        whole: dict[int, list[str]] = {}
        for c in cleared:
            if c.whole:
                whole.setdefault(c.v, []).append(c.aggregate)
        async with available():
            matched = 0
            if whole:
                emptied = {"$set": {"outbox": []}, "$unset": {"due": ""}}
                operations = [UpdateMany({"_id": {"$in": ids}, "v": v}, emptied) for v, ids in whole.items()]
                matched = (await self._aggregates.bulk_write(operations, ordered=False)).matched_count
            if matched < len(cleared):
                await self._pull(cleared)

    async def _pull(self, cleared: Iterable[Cleared]) -> None:
        """Where another has written since, its events stay in the outbox, which is due as long as it holds any."""
        by_seq: dict[int, list[str]] = {}
        for c in cleared:
            by_seq.setdefault(c.seq, []).append(c.aggregate)
        operations = [
            UpdateMany({"_id": {"$in": ids}}, {"$pull": {"outbox": {"seq": {"$lte": seq}}}})
            for seq, ids in by_seq.items()
        ]
        every = [id for ids in by_seq.values() for id in ids]
        operations.append(UpdateMany({"_id": {"$in": every}, "outbox": []}, {"$unset": {"due": ""}}))
        await self._aggregates.bulk_write(operations, ordered=True)

    async def due(self, before: datetime, limit: int) -> list[Document]:
        async with available():
            return await self._aggregates.find({"due": {"$lt": before}}).sort("due", 1).limit(limit).to_list(None)

    async def waiting(self) -> int:
        async with available():
            return await self._aggregates.count_documents(_DUE)

    async def oldest_due(self) -> tuple[int, datetime | None]:
        """How many aggregates have something in their outbox, and since when the oldest has."""
        waiting = await self.waiting()
        async with available():
            found = await self._aggregates.find_one(_DUE, {"due": 1}, sort=[("due", ASCENDING)]) if waiting else None
        return waiting, found["due"] if found else None

    async def held(self) -> tuple[int, int]:
        """About how many records are parked, and how many batches kept."""
        async with available():
            return await self._parked.estimated_document_count(), await self._kept.estimated_document_count()

    async def keep(self, records: Sequence[tuple[Outgoing, Ack]], incarnation: str) -> None:
        passing = [(r, a) for r, a in records if r.topic not in self._reference_topics]
        lasting = [(r, a) for r, a in records if r.topic in self._reference_topics]
        async with available():
            if passing:
                await self._kept.insert_many([_kept(part, incarnation) for part in _parts(passing)])
            for record, ack in lasting:
                await self._keep_latest(record, ack, incarnation)

    async def _keep_latest(self, record: Outgoing, ack: Ack, incarnation: str) -> None:
        """Of reference data only the latest per key, for ever; an older one that comes late changes nothing."""
        version = [int(record.headers["ce_streamepoch"]), int(record.headers["ce_streamseq"])]
        name = f"{record.topic}/{record.key.decode()}"
        document = _kept([(record, ack)], incarnation) | {"_id": name, "version": version}
        try:
            await self._kept.replace_one({"_id": name, "version": {"$lte": version}}, document, upsert=True)
        except DuplicateKeyError:
            return

    async def kept_elsewhere(self, incarnation: str, limit: int) -> list[Kept]:
        async with available():
            found = (
                await self._kept.find({"incarnation": {"$ne": incarnation}}).sort("_id", 1).limit(limit).to_list(None)
            )
        return [
            Kept(_this(d), [Outgoing(r["topic"], r["key"], r["headers"], r["value"]) for r in d["records"]])
            for d in found
        ]

    async def mark_kept(self, id: Any, acks: Sequence[Ack], incarnation: str) -> None:
        async with available():
            document = await self._kept.find_one(id, {"records.topic": 1})
            if document:
                topics = [record["topic"] for record in document["records"]]
                offsets = _offsets(zip(topics, acks, strict=True))
                await self._kept.update_one(id, {"$set": {"incarnation": incarnation, "offsets": offsets}})

    async def kept_before(self, incarnation: str, before: datetime) -> list[tuple[Any, list[list[Any]]]]:
        """What was kept before then and is on this incarnation: ids and [topic, partition, offset]s; at most 2,000."""
        query = {"incarnation": incarnation, "_id": {"$lt": ObjectId.from_datetime(before)}}
        async with available():
            found = await self._kept.find(query, {"offsets": 1}).limit(2000).to_list(None)
        return [(d["_id"], d["offsets"]) for d in found]

    async def forget_kept(self, ids: Sequence[Any]) -> None:
        """Every group is past these."""
        async with available():
            await self._kept.delete_many({"_id": {"$in": list(ids)}})

    async def mark_for_republishing(self, since: datetime) -> int:
        """Have everything kept since then published again, as after the loss of a broker. How many batches."""
        query = {"$or": [{"_id": {"$gte": ObjectId.from_datetime(since)}}, {"_id": {"$type": "string"}}]}
        async with available():
            result = await self._kept.update_many(query, {"$set": {"incarnation": "republish"}})
        return result.modified_count

    async def park(self, group: str, parked: Sequence[Parked]) -> None:
        now = datetime.now(UTC)
        operations = [
            UpdateOne({"_id": _parked_id(group, p.position)}, {"$setOnInsert": _parked(group, p, now)}, upsert=True)
            for p in parked
        ]
        async with available():
            await self._parked.bulk_write(operations, ordered=False)

    async def parked(self, group: str, streams: Collection[str]) -> list[Parked]:
        async with available():
            found = await self._parked.find({"group": group, "stream": {"$in": list(streams)}}).to_list(None)
        return [
            Parked(Position(d["stream"], d["epoch"], d["seq"]), d["aggregate"], record_from(d["record"])) for d in found
        ]

    async def parked_before(self, group: str, before: datetime) -> list[tuple[str, str]]:
        async with available():
            found = await self._parked.find(
                {"group": group, "at": {"$lt": before}}, {"aggregate": 1, "stream": 1}
            ).to_list(1000)
        return sorted({(d["aggregate"], d["stream"]) for d in found})

    async def unpark(self, group: str, positions: Collection[Position]) -> None:
        async with available():
            await self._parked.delete_many({"_id": {"$in": [_parked_id(group, p) for p in positions]}})

    async def bury(self, group: str, incarnation: str, letters: Sequence[DeadLetter]) -> None:
        await self._dead_letters.bury(group, incarnation, letters)

    async def skipped(self, group: str, streams: Collection[str]) -> set[Position]:
        return await self._dead_letters.skipped(group, streams)


def _operation(write: Write) -> InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]]:
    """Each is an insert where another was first, so that a lost race shows as a duplicate key with its index."""
    if write.expected == 0:
        return InsertOne(write.document)
    return ReplaceOne({"_id": write.document["_id"], "v": write.expected}, write.document, upsert=True)


def _parts(records: Sequence[tuple[Outgoing, Ack]]) -> Iterable[list[tuple[Outgoing, Ack]]]:
    part: list[tuple[Outgoing, Ack]] = []
    size = 0
    for record, ack in records:
        if part and (len(part) == KEPT_RECORDS or size + len(record.value) > KEPT_BYTES):
            yield part
            part, size = [], 0
        part.append((record, ack))
        size += len(record.value) + 1000
    yield part


def _kept(records: Sequence[tuple[Outgoing, Ack]], incarnation: str) -> Document:
    return {
        "_id": ObjectId(),
        "incarnation": incarnation,
        "records": [{"topic": r.topic, "key": r.key, "headers": r.headers, "value": r.value} for r, _ in records],
        "offsets": _offsets((r.topic, a) for r, a in records),
    }


def _this(kept: Document) -> Document:
    """Finds this document again; of reference data not a later version, which may never have been on this broker."""
    return {name: kept[name] for name in ("_id", "version") if name in kept}


def _offsets(acks: Iterable[tuple[str, Ack]]) -> list[list[Any]]:
    highest: dict[tuple[str, int], int] = {}
    for topic, ack in acks:
        place = (topic, ack.partition)
        highest[place] = max(highest.get(place, -1), ack.offset)
    return [[topic, partition, offset] for (topic, partition), offset in highest.items()]


def _parked_id(group: str, position: Position) -> str:
    return f"{group}/{position.stream}/{position.epoch}/{position.seq}"


def _parked(group: str, parked: Parked, now: datetime) -> Document:
    stream, epoch, seq = parked.position
    return {
        "group": group,
        "stream": stream,
        "epoch": epoch,
        "seq": seq,
        "aggregate": parked.aggregate,
        "record": record_document(parked.record),
        "at": now,
    }
