"""What one process of a service does beside its batches: publish what waits, publish again, forget, name gaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from services.chassis import metrics
from services.chassis.housekeeping import Housekeeper
from services.chassis.kafka import KafkaProducer
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.logs import get_logger
from services.chassis.loops import work_under
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.ports import Publisher
from services.chassis.pipeline.relay import Relay, Republisher
from services.chassis.settings import PipelineSettings

log = get_logger(__name__)
RELAY_EVERY_S = 1.0
HOUSEKEEPING_EVERY_S = 10.0
# An idle service asks the database as little as it can: not every round looks for what another broker had.
_REPUBLISH_ROUNDS = 3


class Upkeep:
    """Call `relay` and `keep_house` again and again; the holder of the lease does the work."""

    def __init__(
        self,
        settings: PipelineSettings,
        lease: Lease,
        outboxes: tuple[tuple[MongoStore, Publisher], ...],
        *,
        producer: KafkaProducer,
        admin: KafkaAdmin,
        incarnation: Incarnation,
        letters: DeadLetters,
        consumer: Consumer,
        group: str,
        clock: Callable[[], datetime],
    ) -> None:
        """`outboxes`: each store with its way out, that of the aggregates first."""
        self._settings = settings
        self._lease = lease
        self._stores = [store for store, _ in outboxes]
        self._letters = letters
        self._consumer = consumer
        self._group = group
        self._clock = clock
        self._incarnation = incarnation
        after = timedelta(seconds=settings.relay_after_s)
        self._relays = [Relay(store, publisher, clock=clock, after=after) for store, publisher in outboxes]
        self._republisher = Republisher(self._stores[0], producer, incarnation.known)
        self._rounds = count()
        self._housekeeper = Housekeeper(
            self._stores[0],
            admin.committed,
            incarnation=incarnation.known,
            ask=admin.cluster_id,
            clock=clock,
            keep_for=timedelta(hours=settings.kept_hours),
        )

    async def relay(self, broker_present: bool) -> int:
        """Publish what waits, and what another broker had. How many aggregates waited. Raises StoreUnavailable."""
        waiting = [await store.waiting() for store in self._stores]
        works = [*self._relays] if any(waiting) else []
        again = next(self._rounds) % _REPUBLISH_ROUNDS == 0
        if (works or again) and broker_present and self._incarnation.known():
            try:
                await work_under(self._lease, [*works, self._republisher] if again else works)
            except StoreUnavailable:
                self._rounds = count()  # the next one shows whether the database takes writes again
                raise
        return waiting[0]

    async def keep_house(self) -> None:
        """Forget what every group is past, destroy old keys, offer again what is parked, and name gaps."""
        if not await self._lease.held():
            return
        await self._letters.destroy_keys(timedelta(days=self._settings.dead_letter_days))
        while await self._housekeeper.run_once():
            pass
        gap = self._clock() - timedelta(seconds=self._settings.gap_alarm_s)
        await self._consumer.offer_parked(gap)
        waiting = await self._stores[0].parked_before(self._group, gap)
        metrics.parked_too_long.set(len(waiting))
        if waiting:
            # Kinds alone: a stream of a person bears the pseudonym.
            log.error("gap_open", streams=len(waiting), kinds=sorted({s.partition("-")[0] for _, s in waiting}))
