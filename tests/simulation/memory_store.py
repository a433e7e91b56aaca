"""A service's database in memory: atomic per document, as MongoDB is, and in no call over several documents."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from hulpketen_contracts import Position

from services.chassis.pipeline.errors import StoreUnavailable, UnknownDeadLetter, WriteRefused
from services.chassis.pipeline.model import Ack, DeadLetter, Outgoing, Parked, Record
from services.chassis.pipeline.ports import Cleared, Document, Kept, Write
from tests.simulation.faults import OFF, Faults
from tests.simulation.scheduler import pause


class Database:
    """How calls of one service's database fail: before they did anything, half-way, or with the answer lost."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.faults: Faults = OFF

    async def call(self) -> None:
        """The request on its way, or a pause between two documents."""
        await pause()
        if self.faults.unavailable and self._rng.random() < self.faults.unavailable:
            raise StoreUnavailable("simulated")

    async def answered(self) -> None:
        """The answer on its way back."""
        await self.call()


class MemoryStore:
    """The Store port."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        reference_topics: Collection[str] = (),
        refuses: Callable[[Document], bool] = lambda _: False,
    ) -> None:
        self._db = database
        self._clock = clock
        self._reference_topics = frozenset(reference_topics)
        self._refuses = refuses
        self._kept_ids = itertools.count()
        self.aggregates: dict[str, Document] = {}
        self.kept_records: dict[Any, Document] = {}
        self.parked_records: dict[tuple[str, Position], tuple[Parked, datetime]] = {}
        self.letters = MemoryDeadLetters(database)

    # Aggregates

    async def load(self, ids: Collection[str]) -> dict[str, Document]:
        await self._db.call()
        found = {id: _copy(self.aggregates[id]) for id in ids if id in self.aggregates}
        await self._db.answered()
        return found

    async def write(self, writes: Sequence[Write]) -> list[bool | Exception]:
        results = []
        for write in writes:
            await self._db.call()
            results.append(self._write_one(write))
        await self._db.answered()
        return results

    def _write_one(self, write: Write) -> bool | Exception:
        if self._refuses(write.document):
            return WriteRefused("simulated")
        stored = self.aggregates.get(write.document["_id"])
        if stored and stored["v"] != write.expected:
            return False
        self.aggregates[write.document["_id"]] = _copy(write.document)
        return True

    async def clear(self, cleared: Sequence[Cleared]) -> None:
        for c in cleared:
            await self._db.call()
            self._clear_one(c)
        await self._db.answered()

    def _clear_one(self, cleared: Cleared) -> None:
        document = self.aggregates.get(cleared.aggregate)
        if document is None:
            return
        document["outbox"] = [entry for entry in document["outbox"] if entry["seq"] > cleared.seq]
        if not document["outbox"]:
            document.pop("due", None)

    async def due(self, before: datetime, limit: int) -> list[Document]:
        await self._db.call()
        found = [document for document in self.aggregates.values() if "due" in document and document["due"] < before]
        copies = [_copy(document) for document in sorted(found, key=_due)[:limit]]
        await self._db.answered()
        return copies

    async def waiting(self) -> int:
        await self._db.call()
        return sum("due" in document for document in self.aggregates.values())

    # Kept records

    async def keep(self, records: Sequence[tuple[Outgoing, Ack]], incarnation: str) -> None:
        await self._db.call()
        passing = [(r, a) for r, a in records if r.topic not in self._reference_topics]
        if passing:
            self.kept_records[next(self._kept_ids)] = _kept(passing, incarnation, self._clock())
        for record, ack in records:
            if record.topic in self._reference_topics:
                await self._db.call()
                self._keep_latest(record, ack, incarnation)
        await self._db.answered()

    def _keep_latest(self, record: Outgoing, ack: Ack, incarnation: str) -> None:
        version = [int(record.headers["ce_streamepoch"]), int(record.headers["ce_streamseq"])]
        name = f"{record.topic}/{record.key.decode()}"
        if name not in self.kept_records or self.kept_records[name]["version"] <= version:
            self.kept_records[name] = _kept([(record, ack)], incarnation, self._clock()) | {"version": version}

    async def kept_elsewhere(self, incarnation: str, limit: int) -> list[Kept]:
        await self._db.call()
        found = [
            Kept((id, document.get("version")), document["records"])
            for id, document in self.kept_records.items()
            if document["incarnation"] != incarnation
        ]
        await self._db.answered()
        return found[:limit]

    async def mark_kept(self, id: Any, acks: Sequence[Ack], incarnation: str) -> None:
        await self._db.call()
        name, version = id
        document = self.kept_records.get(name)
        if document and document.get("version") == version:
            document |= {"incarnation": incarnation, "offsets": _offsets(document["records"], acks)}
        await self._db.answered()

    async def kept_before(self, incarnation: str, before: datetime) -> list[tuple[Any, list[list[Any]]]]:
        """As MongoStore's, for the housekeeper."""
        await self._db.call()
        return [
            (id, document["offsets"])
            for id, document in self.kept_records.items()
            if document["incarnation"] == incarnation and document["at"] < before and not isinstance(id, str)
        ]

    async def forget_kept(self, ids: Sequence[Any]) -> None:
        """As MongoStore's, for the housekeeper."""
        await self._db.call()
        for id in ids:
            self.kept_records.pop(id, None)

    # Parked records and dead letters

    async def park(self, group: str, parked: Sequence[Parked]) -> None:
        for p in parked:
            await self._db.call()
            self.parked_records.setdefault((group, p.position), (p, self._clock()))
        await self._db.answered()

    async def parked(self, group: str, streams: Collection[str]) -> list[Parked]:
        await self._db.call()
        found = [
            p for (g, position), (p, _) in self.parked_records.items() if g == group and position.stream in streams
        ]
        await self._db.answered()
        return found

    async def parked_before(self, group: str, before: datetime) -> list[tuple[str, str]]:
        await self._db.call()
        found = [p for (g, _), (p, at) in self.parked_records.items() if g == group and at < before]
        return sorted({(p.aggregate, p.position.stream) for p in found})

    async def unpark(self, group: str, positions: Collection[Position]) -> None:
        for position in positions:
            await self._db.call()
            self.parked_records.pop((group, position), None)
        await self._db.answered()

    async def bury(self, group: str, incarnation: str, letters: Sequence[DeadLetter]) -> None:
        await self.letters.bury(group, incarnation, letters)

    async def skipped(self, group: str, streams: Collection[str]) -> set[Position]:
        return await self.letters.skipped(group, streams)


class MemoryDeadLetters:
    """What operations work on: as MongoDB's, without the encryption."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.held: dict[str, dict[str, Any]] = {}

    async def bury(self, group: str, incarnation: str, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            await self._db.call()
            record, id = letter.record, _letter_id(group, incarnation, letter)
            document = {"group": group, "reason": letter.reason, "record": record, "position": letter.position}
            if letter.position:
                document["stream"] = letter.position.stream
            self.held.setdefault(id, document)
        await self._db.answered()

    async def page(self, limit: int, after: str | None) -> list[dict[str, Any]]:
        await self._db.call()
        ids = list(self.held)
        first = ids.index(after) + 1 if after else 0
        return [self.held[id] | {"_id": id} for id in ids[first : first + limit]]

    async def record(self, id: str) -> Record:
        await self._db.call()
        return self._known(id)["record"]  # type: ignore[no-any-return]

    async def forget(self, id: str) -> None:
        await self._db.call()
        self.held.pop(id, None)

    async def skip(self, id: str, reason: str) -> dict[str, Any]:
        await self._db.call()
        letter = self._known(id)
        letter["skipped"] = reason
        await self._db.answered()
        return letter

    def _known(self, id: str) -> dict[str, Any]:
        if id not in self.held:
            raise UnknownDeadLetter(id)
        return self.held[id]

    async def skipped(self, group: str, streams: Collection[str]) -> set[Position]:
        await self._db.call()
        return {
            letter["position"]
            for letter in self.held.values()
            if letter["group"] == group and "skipped" in letter and letter.get("stream") in streams
        }


def _letter_id(group: str, incarnation: str, letter: DeadLetter) -> str:
    record = letter.record
    return f"{group}|{incarnation}|{record.topic}|{record.partition}|{record.offset}|{letter.position}"


def _copy(document: Document) -> Document:
    """A copy that shares nothing that the pipeline may change."""
    copy = document | {"in": {k: list(v) for k, v in document["in"].items()}, "outbox": list(document["outbox"])}
    for name in ("keys", "gap"):
        if name in copy:
            copy[name] = copy[name].copy()
    return copy


def _due(document: Document) -> Any:
    return document["due"]


def _kept(records: Sequence[tuple[Outgoing, Ack]], incarnation: str, now: datetime) -> Document:
    out = [record for record, _ in records]
    return {"records": out, "incarnation": incarnation, "at": now, "offsets": _offsets(out, [a for _, a in records])}


def _offsets(records: Sequence[Outgoing], acks: Sequence[Ack]) -> list[list[Any]]:
    highest: dict[tuple[str, int], int] = {}
    for record, ack in zip(records, acks, strict=True):
        place = (record.topic, ack.partition)
        highest[place] = max(highest.get(place, -1), ack.offset)
    return [[topic, partition, offset] for (topic, partition), offset in highest.items()]
