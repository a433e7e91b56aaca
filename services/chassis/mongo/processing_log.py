"""The way out of processing-log lines: stored by a majority before the answer goes out, shipped by the relay."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

from hulpketen_contracts import Envelope, Event, encode

from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.model import outbox_entry
from services.chassis.pipeline.ports import Cleared, Publisher

COLLECTION = "processing_log_out"
INDEXES = (Index(COLLECTION, ("due",), "due(), waiting(), oldest_due(): what the relay publishes", sparse=True),)


class LogStore(MongoStore):
    """Lines wait as the outbox of a document of their own, which goes when they are published."""

    async def clear(self, cleared: Sequence[Cleared]) -> None:
        """Remove the documents that were published whole; of others, the part that was."""
        whole = [c.aggregate for c in cleared if c.whole]
        async with available():
            if whole:
                await self._aggregates.delete_many({"_id": {"$in": whole}})
            if len(whole) < len(cleared):
                await self._pull([c for c in cleared if not c.whole])


class ProcessingLog:
    """Records looks at personal data."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        *,
        service: str,
        source: str,
        clock: Callable[[], datetime],
        spawn: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
    ) -> None:
        self._lines = database[COLLECTION]
        self._publisher = publisher
        self._stream = f"log-{service}-{uuid.uuid4()}"
        self._source = source
        self._clock = clock
        self._spawn = spawn
        self._seq = 0

    async def record(self, lines: Sequence[Event]) -> None:
        """Store lines, in one insert; when it returns a majority has them. Raises StoreUnavailable: show nothing."""
        if not lines:
            return
        now = self._clock()
        outbox = [self._entry(line, now) for line in lines]
        document = {"_id": str(uuid.uuid4()), "v": 1, "outbox": outbox, "due": now}
        async with available():
            await self._lines.insert_one(document)
        await self._spawn(self._publisher.publish([document]))

    def _entry(self, line: Event, now: datetime) -> dict[str, Any]:
        self._seq += 1
        envelope = Envelope(
            id=str(uuid.uuid4()),
            source=self._source,
            type=line.TYPE,
            time=now,
            subject=None,
            stream=self._stream,
            streamepoch=1,
            streamseq=self._seq,
        )
        return outbox_entry(self._seq, envelope.id, encode(line, envelope))
