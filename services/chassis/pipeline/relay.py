"""What one process per service does beside the batches: publish what waits, and publish again after a broker's loss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.chassis.pipeline.ports import Broker, Publisher, Store

BATCH = 200


class Relay:
    """Publishes outboxes that have waited too long: their writer died, or a send failed."""

    def __init__(self, store: Store, publisher: Publisher, *, clock: Callable[[], datetime], after: timedelta) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._after = after

    async def run_once(self) -> int:
        """Publish one batch of what is due. How many aggregates it took; 0 when those were all, sent or not."""
        due = await self._store.due(self._clock() - self._after, BATCH)
        if due:
            await self._publisher.publish(due)
        return len(due) if len(due) == BATCH else 0


class Republisher:
    """Publishes kept records of other incarnations of the broker again, until none is left.

    One pass when the change is seen is not enough: what was acknowledged before the loss can be kept after that pass.
    """

    def __init__(self, store: Store, broker: Broker, incarnation: Callable[[], str]) -> None:
        self._store = store
        self._broker = broker
        self._incarnation = incarnation

    async def run_once(self) -> int:
        """Publish one batch of kept records again. How many it marked as done; 0 when none is left."""
        incarnation = self._incarnation()
        done = 0
        for kept in await self._store.kept_elsewhere(incarnation, limit=10):
            acks = [ack for ack in await self._broker.send(kept.records) if ack is not None]
            if len(acks) < len(kept.records):
                return done
            await self._store.mark_kept(kept.id, acks, incarnation)
            done += 1
        return done
