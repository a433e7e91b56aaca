"""The live side of the feeds: each process follows what is appended once, and serves its readers from memory."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import islice
from json import dumps
from typing import Any

from hulpketen_contracts import Message, to_structured, with_sequence

from services.chassis.mongo.feeds import numbered
from services.chassis.pipeline.model import Outgoing
from services.notifications import metrics
from services.notifications.domain.checkpoint import SHARED

_SHARED = SHARED.encode()
Document = Mapping[str, Any]
ReadAfter = Callable[[str, int, int], Awaitable[Sequence[tuple[int, Outgoing]]]]
"""(feed, n, limit): its lines after n, in order."""
NewLines = Callable[[], AsyncIterator[Sequence[Document]]]
"""Lines as they are appended, in batches; an empty batch first, once nothing more is missed."""


class TooManyReadersError(Exception):
    """No more readers are taken now, of this feed or at all."""


class Line:
    """A line of a feed. It is read, and made a frame of server-sent events, when the first reader asks."""

    __slots__ = ("_document", "_frame", "_record", "_times", "n")

    def __init__(self, n: int, record: Outgoing | None = None, document: Document | None = None) -> None:
        self.n = n
        self._record = record
        self._document = document
        self._frame = b""
        self._times: metrics.Times | None = None

    @property
    def record(self) -> Outgoing:
        """The record, without its number."""
        if self._record is None:
            assert self._document is not None
            self._record = numbered(self._document)[1]
            self._document = None
        return self._record

    @property
    def shared(self) -> bool:
        """Whether everybody gets it: then it is about no case or referral, and to give it is no look at anything."""
        return self.record.headers.get("ce_type") == _SHARED

    @property
    def times(self) -> metrics.Times:
        """When it was made, and when what led to it came into the chain."""
        if self._times is None:
            self._times = metrics.times(self.record.headers)
        return self._times

    @property
    def frame(self) -> bytes:
        """The line as a server-sent event: its number as id, and the CloudEvent in structured mode as data."""
        if not self._frame:
            topic, key, headers, value = self.record
            message = Message(topic, key, list(with_sequence(headers, self.n).items()), value)
            event = to_structured(message)
            data = dumps(event, ensure_ascii=False, separators=(",", ":"))
            self._frame = f"id: {self.n}\nevent: {event['type']}\ndata: {data}\n\n".encode()
        return self._frame


class Channel:
    """The newest lines of one feed, in order and without a hole."""

    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.last = 0
        self.changed = asyncio.Event()

    def add(self, line: Line) -> None:
        """Hold a new line; a hole before it makes the older ones useless."""
        if line.n != self.last + 1:
            self.lines.clear()
        self.lines.append(line)
        self.last = line.n
        self.wake()

    def wake(self) -> None:
        """Let all readers look."""
        self.changed.set()
        self.changed = asyncio.Event()

    def after(self, n: int, limit: int) -> list[Line]:
        """The lines after n; none where n is the last, or where the next is not held."""
        if not self.lines or n + 1 < self.lines[0].n:
            return []
        skipped = n + 1 - self.lines[0].n
        return list(islice(self.lines, skipped, skipped + limit))


class Hub:
    """All channels of a process: feeds with a reader, no others. A slow reader costs what it is sent at once.

    Memory is bounded: `held` lines of all channels together, and a reader that is further behind reads pages of the
    database. Nothing is missed: when following begins (again), readers look in the database first.
    """

    def __init__(
        self, new_lines: NewLines, read: ReadAfter, *, held: int, page: int, most: int, most_each: int
    ) -> None:
        self._new_lines = new_lines
        self._read = read
        self._held = held
        self._page = page
        self._most = most
        self._most_each = most_each
        self._channels: dict[str, Channel] = {}
        self._readers: Counter[str] = Counter()
        self._order: deque[Channel] = deque()
        self._following = 0
        self.closed = False

    @property
    def readers(self) -> int:
        """How many read now."""
        return self._readers.total()

    async def follow(self) -> None:
        """Take in new lines until it breaks: to be called again then."""
        async for batch in self._new_lines():
            if not batch:
                self._following += 1
                for channel in self._channels.values():
                    channel.wake()
            for document in batch:
                self._take(document)

    def close(self) -> None:
        """End all reading."""
        self.closed = True
        for channel in self._channels.values():
            channel.wake()

    def admit(self, feed: str) -> None:
        """Raises TooManyReadersError where one more reader of this feed is one too many."""
        if self.readers >= self._most or self._readers[feed] >= self._most_each:
            raise TooManyReadersError

    async def pages(self, feed: str, n: int, pause: Callable[[], float]) -> AsyncGenerator[Sequence[Line]]:
        """The lines after n, as they come, in order; an empty page after each `pause` (in seconds) without one.

        Ends when the hub is closed. Lines from memory and from the database join without a gap and without doubling:
        both are taken by number alone.
        """
        channel = self._join(feed)
        read_to_end = -1  # the round of following in which the database was read to its end
        try:
            while not self.closed:
                changed = channel.changed
                lines: Sequence[Line] = channel.after(n, self._page)
                if not lines and (read_to_end != self._following or channel.last > n):
                    following = self._following
                    lines = [Line(*found) for found in await self._read(feed, n, self._page)]
                    if len(lines) < self._page:
                        read_to_end = following
                    if not lines:
                        continue
                elif not lines and await _silent(changed, pause()):
                    yield []
                if lines:
                    n = lines[-1].n
                    yield lines
        finally:
            self._leave(feed)

    def _take(self, document: Document) -> None:
        place = document["_id"]
        channel = self._channels.get(place["org"])
        if channel is None:
            return
        channel.add(Line(place["n"], document=document))
        self._order.append(channel)
        if len(self._order) > self._held:
            oldest = self._order.popleft()
            if oldest.lines:
                oldest.lines.popleft()

    def _join(self, feed: str) -> Channel:
        self._readers[feed] += 1
        return self._channels.setdefault(feed, Channel())

    def _leave(self, feed: str) -> None:
        self._readers[feed] -= 1
        if not self._readers[feed]:
            del self._readers[feed]
            self._channels.pop(feed).lines.clear()


async def _silent(changed: asyncio.Event, pause_s: float) -> bool:
    try:
        async with asyncio.timeout(pause_s):
            await changed.wait()
    except TimeoutError:
        return True
    return False
