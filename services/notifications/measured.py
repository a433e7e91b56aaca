"""Feeds with their lines counted, and what waits to be sent on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.ports import Line
from services.notifications import metrics
from services.notifications.domain.directory import Directory
from services.notifications.store import NotificationsStore

EVERY_S = 30.0


class MeasuredFeeds(MongoFeeds):
    """Counts what it appends. What everybody is told says nothing of how long a case takes to come to a partner."""

    async def append(self, reader: str, first: int, lines: Sequence[Line]) -> int:
        done = await super().append(reader, first, lines)
        metrics.lines.inc(done)
        metrics.arrived("feed", (metrics.times(line.record.headers) for line in lines[:done]))
        return done

    async def append_to_each(self, numbers: Mapping[str, int], line: Line) -> set[str]:
        done = await super().append_to_each(numbers, line)
        metrics.lines.inc(len(done))
        return done


class Waiting:
    """Call `look` again and again: what the one that delivers has yet to send; 0 in the other processes."""

    def __init__(
        self,
        directory: Directory,
        store: NotificationsStore,
        feeds: MongoFeeds,
        lease: Lease,
        incarnation: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._store = store
        self._feeds = feeds
        self._lease = lease
        self._incarnation = incarnation
        self._clock = clock

    async def look(self) -> None:
        """Raises StoreUnavailable."""
        metrics.organisations.set(len(self._directory.organisations))
        chosen = [o for o in self._directory.organisations.values() if o.kafka and o.feed]
        if self._lease.fence is None:
            chosen = []
        cursors = await self._store.cursors() if chosen else {}
        lines, oldest = 0, 0.0
        for organisation in chosen:
            feed = str(organisation.feed)
            n, incarnation = cursors.get(organisation.id, (0, ""))
            # A broker that lost its log is sent all again.
            n = n if incarnation == self._incarnation() else 0
            if (since := await self._feeds.written_after(feed, n)) is not None:
                # After a restore numbers go on far from where they were: what is not kept does not wait.
                lines += await self._feeds.last(feed) - max(n, await self._feeds.first(feed) - 1)
                oldest = max(oldest, (self._clock() - since).total_seconds())
        metrics.delivery_lines.set(lines)
        metrics.delivery_oldest_seconds.set(oldest)
