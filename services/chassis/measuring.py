"""What is counted of batches, and the gauges that need a look at the database or the broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.chassis import metrics
from services.chassis.mongo.database import Database, available
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.consumer import WAITS
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.model import DeadLetter, Record

EVERY_S = 10.0
Clock = Callable[[], datetime]
BatchHandler = Callable[[Sequence[Record]], Awaitable[list[DeadLetter]]]


def measured(handle: BatchHandler, clock: Clock) -> Callable[[Sequence[Record]], Awaitable[None]]:
    """The handler, with its batches counted; one that raised comes again, and counts when it is done."""

    async def measure(records: Sequence[Record]) -> None:
        with metrics.batch_seconds.time():
            letters = await handle(records)
        _count(records, letters, clock())

    return measure


def _count(records: Sequence[Record], letters: Sequence[DeadLetter], now: datetime) -> None:
    left = {id(letter.record): "parked" if letter.reason == WAITS else "dead" for letter in letters}
    outcomes: Counter[tuple[str, ...]] = Counter()
    ages: dict[str, list[float]] = {}
    for record in records:
        headers = dict(record.headers)
        type, outcome = metrics.type_of(headers.get("ce_type")), left.get(id(record), "done")
        outcomes[type, outcome] += 1
        if outcome == "done":
            try:
                age = (now - datetime.fromisoformat((headers.get("ce_time") or b"").decode())).total_seconds()
            except (ValueError, TypeError):  # what was passed by has not been validated
                continue
            ages.setdefault(type, []).append(max(0.0, age))
    metrics.count(metrics.events_taken, outcomes)
    for type, of_type in ages.items():
        metrics.observe_all(metrics.event_age_seconds.labels(type), of_type)


async def show_lag(consumer: AIOKafkaConsumer | None) -> None:
    """Of the partitions that are this process' own; as far as it knows, and without asking the broker."""
    lag: Counter[str] = Counter()
    if consumer is not None:
        ends = {place: consumer.highwater(place) for place in consumer.assignment()}
        for place, end in ends.items():
            with suppress(KafkaError):  # the partition may be dealt to another process meanwhile
                lag[place.topic] += max(0, end - await consumer.position(place)) if end is not None else 0
    metrics.consumer_lag.clear()
    for topic, records in lag.items():
        metrics.consumer_lag.labels(topic).set(records)


class Gauges:
    """Call `look` again and again. What stands in the database is told by the holder of the relay's lease alone, 0 by
    the other processes of the service: their sum and their highest are both right."""

    def __init__(
        self,
        database: Database,
        stores: Mapping[str, MongoStore],
        letters: DeadLetters,
        lease: Lease,
        consumer: Callable[[], AIOKafkaConsumer | None],
        clock: Clock,
    ) -> None:
        """`stores` by the name of their outbox; `consumer` gives what the process reads with now."""
        self._database = database
        self._stores = stores
        self._letters = letters
        self._lease = lease
        self._consumer = consumer
        self._clock = clock

    async def look(self) -> None:
        """Set all of them. Raises StoreUnavailable."""
        await show_lag(self._consumer())
        await self._look_at_clock()
        holds = await self._lease.held()
        for name, store in self._stores.items():
            waiting, since = await store.oldest_due() if holds else (0, None)
            metrics.outbox_waiting.labels(name).set(waiting)
            age = (self._clock() - since).total_seconds() if since else 0.0
            metrics.outbox_oldest_seconds.labels(name).set(max(0.0, age))
        store = next(iter(self._stores.values()))
        parked, kept = await store.held() if holds else (0, 0)
        metrics.parked.set(parked)
        metrics.kept_batches.set(kept)
        metrics.dead_letters_waiting.set(await self._letters.waiting() if holds else 0)
        if not holds:
            metrics.parked_too_long.set(0)
        await self._look_at_disk(holds)

    async def _look_at_clock(self) -> None:
        async with available():
            hello = await self._database.command("hello")
        apart = abs((self._clock() - hello["localTime"].replace(tzinfo=UTC)).total_seconds())
        metrics.clock_apart_seconds.set(apart)

    async def _look_at_disk(self, holds: bool) -> None:
        stats = {}
        if holds:
            async with available():
                stats = await self._database.command("dbStats")
        metrics.database_bytes.set(stats.get("storageSize", 0) + stats.get("indexSize", 0))
        metrics.database_disk_bytes.labels("used").set(stats.get("fsUsedSize", 0))
        metrics.database_disk_bytes.labels("total").set(stats.get("fsTotalSize", 0))
