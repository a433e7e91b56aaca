"""Feeds, leases and the broker's identity in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from services.chassis.pipeline.model import Outgoing
from services.chassis.pipeline.ports import Line
from tests.simulation.memory_store import Database


class MemoryFeeds:
    """The FeedStore port: unique on (reader, n) and on (reader, event)."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.lines: dict[str, dict[int, Line]] = {}
        self.events: dict[str, set[str]] = {}

    async def last(self, reader: str) -> int:
        await self._db.call()
        found = max(self.lines.get(reader, {0: None}))
        await self._db.answered()
        return found

    async def append(self, reader: str, first: int, lines: Sequence[Line]) -> int:
        for i, line in enumerate(lines):
            await self._db.call()
            if not self._insert(reader, first + i, line):
                return i
        await self._db.answered()
        return len(lines)

    async def append_to_each(self, numbers: Mapping[str, int], line: Line) -> set[str]:
        done = set()
        for reader, n in numbers.items():
            await self._db.call()
            if self._insert(reader, n, line):
                done.add(reader)
        await self._db.answered()
        return done

    def _insert(self, reader: str, n: int, line: Line) -> bool:
        held = self.lines.setdefault(reader, {})
        events = self.events.setdefault(reader, set())
        if n in held or line.event_id in events:
            return False
        held[n] = line
        events.add(line.event_id)
        return True

    async def known(self, reader: str, event_ids: Collection[str]) -> set[str]:
        await self._db.call()
        found = self.events.get(reader, set()).intersection(event_ids)
        await self._db.answered()
        return found

    async def after(self, reader: str, n: int, limit: int) -> list[tuple[int, Outgoing]]:
        """Lines after number n, in order, at most `limit`."""
        await self._db.call()
        held = self.lines.get(reader, {})
        return [(number, held[number].record) for number in sorted(held) if number > n][:limit]


class MemoryLeases:
    """The LeaseStore port; `skipped`: everybody who asks holds it, as if clocks and pauses had done their worst."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._db = database
        self._clock = clock
        self._held: dict[str, tuple[str, datetime, int]] = {}
        self.skipped = False

    async def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> int | None:
        await self._db.call()
        other, end, fence = self._held.get(name, ("", now, 0))
        present = self._clock()
        if other not in ("", holder) and end > present and not self.skipped:
            return None
        fence += other != holder
        self._held[name] = (holder, present + (until - now), fence)
        return fence

    async def release(self, name: str, holder: str) -> None:
        await self._db.call()
        other, _, fence = self._held.get(name, ("", self._clock(), 0))
        if other == holder:
            self._held[name] = ("", self._clock(), fence)


class MemoryIncarnation:
    """The IncarnationStore port."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._cluster_id = ""

    async def incarnation(self) -> str:
        await self._db.call()
        return self._cluster_id

    async def set_incarnation(self, cluster_id: str) -> None:
        await self._db.call()
        self._cluster_id = cluster_id
