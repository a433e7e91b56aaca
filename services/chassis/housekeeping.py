"""What is forgotten in time: published records that every group is past."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from hulpketen_contracts import TOPICS

from services.chassis.mongo.store import MongoStore

Place = tuple[str, int]
Committed = Callable[[str, Sequence[Place]], Awaitable[Mapping[Place, int]]]


class Housekeeper:
    """Drops kept records; a record goes when it is old and every group of the catalogue has committed past it."""

    def __init__(
        self,
        store: MongoStore,
        committed: Committed,
        *,
        incarnation: Callable[[], str],
        ask: Callable[[], Awaitable[str]],
        clock: Callable[[], datetime],
        keep_for: timedelta,
    ) -> None:
        """`committed` says how far a group has come in partitions: the offset after the last committed one; `ask`
        which broker said so."""
        self._store = store
        self._committed = committed
        self._incarnation = incarnation
        self._ask = ask
        self._clock = clock
        self._keep_for = keep_for

    async def run_once(self) -> int:
        """Drop one batch. How many kept documents went."""
        incarnation = self._incarnation()
        found = await self._store.kept_before(incarnation, self._clock() - self._keep_for)
        past = await self._past({(topic, partition) for _, offsets in found for topic, partition, _ in offsets})
        done = [id for id, offsets in found if all(past[topic, p] > offset for topic, p, offset in offsets)]
        # Offsets of a broker that came since would say nothing about these records.
        if not done or await self._ask() != incarnation:
            return 0
        await self._store.forget_kept(done)
        return len(done)

    async def _past(self, places: set[Place]) -> dict[Place, int]:
        """For each partition the offset that every group is past."""
        past: dict[Place, int] = {}
        for topic in {topic for topic, _ in places}:
            wanted = [place for place in places if place[0] == topic]
            for group in TOPICS[topic].consumers:
                for place, offset in (await self._committed(group, wanted)).items():
                    past[place] = min(past.get(place, offset), offset)
        return past
