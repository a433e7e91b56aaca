"""From outboxes to numbered feeds, one for each reader: lines 1, 2, 3 … without gaps, each event once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from services.chassis.pipeline.model import outgoing
from services.chassis.pipeline.ports import Document, FeedStore, Line, Store
from services.chassis.pipeline.publisher import clearing


class FeedPublisher:
    """Appends outboxes to feeds; the last part of an entry's topic (partners.<reader>) names the reader."""

    def __init__(
        self, store: Store, feeds: FeedStore, *, shared: str = "", everybody: Callable[[], Collection[str]] = tuple
    ) -> None:
        """`shared`: the type of those events of which `everybody` gets a line, whatever reader their topic names. It
        is the type that decides, so that no name that comes from outside can make a line everybody's."""
        self._store = store
        self._feeds = feeds
        self._shared = shared.encode()
        self._everybody = everybody
        self._last: dict[str, int] = {}

    async def publish(self, documents: Sequence[Document]) -> None:
        """Append the lines of each reader in their order, then clear the outboxes."""
        lines: dict[str, list[Line]] = {}
        shared: list[Line] = []
        for document in documents:
            for entry in document["outbox"]:
                line = Line(entry["id"], outgoing(entry))
                if entry["headers"].get("ce_type") == self._shared:
                    shared.append(line)
                else:
                    lines.setdefault(entry["topic"].rpartition(".")[2], []).append(line)
        for reader, pending in lines.items():
            await self._append(reader, pending)
        for line in shared:
            await self._append_to_all(line)
        if lines or shared:
            await self._store.clear([clearing(d, len(d["outbox"])) for d in documents if d["outbox"]])

    async def _append_to_all(self, line: Line) -> None:
        """One insert for all; where a number was taken, or the line is there already, as any other line."""
        numbers = {r: 1 + (self._last.get(r) or await self._feeds.last(r)) for r in self._everybody()}
        done = await self._feeds.append_to_each(numbers, line) if numbers else ()
        for reader, n in numbers.items():
            if reader in done:
                self._last[reader] = n
            else:
                await self._append(reader, [line])

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
