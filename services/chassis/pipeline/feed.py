"""From outboxes to numbered feeds, one for each reader: lines 1, 2, 3 … without gaps, each event once."""

from __future__ import annotations

from collections.abc import Sequence

from services.chassis.pipeline.model import outgoing
from services.chassis.pipeline.ports import Document, FeedStore, Line, Store
from services.chassis.pipeline.publisher import clearing


class FeedPublisher:
    """Appends outboxes to feeds; the last part of an entry's topic (partners.<reader>) names the reader."""

    def __init__(self, store: Store, feeds: FeedStore) -> None:
        self._store = store
        self._feeds = feeds
        self._last: dict[str, int] = {}

    async def publish(self, documents: Sequence[Document]) -> None:
        """Append the lines of each reader in their order, then clear the outboxes."""
        lines: dict[str, list[Line]] = {}
        for document in documents:
            for entry in document["outbox"]:
                reader = entry["topic"].rpartition(".")[2]
                lines.setdefault(reader, []).append(Line(entry["id"], outgoing(entry)))
        for reader, pending in lines.items():
            await self._append(reader, pending)
        if lines:
            await self._store.clear([clearing(d, len(d["outbox"])) for d in documents if d["outbox"]])

    async def _append(self, reader: str, pending: Sequence[Line]) -> None:
        """A number that is taken: stop at that line, read the last again, and go on from there.

        Going on with the next line instead would put lines out of order where two processes meet.
        """
        last = self._last.get(reader) or await self._feeds.last(reader)
        while pending:
            done = await self._feeds.append(reader, last + 1, pending)
            last += done
            pending = pending[done:]
            if pending:
                last = await self._feeds.last(reader)
                known = await self._feeds.known(reader, [line.event_id for line in pending])
                pending = [line for line in pending if line.event_id not in known]
        self._last[reader] = last
