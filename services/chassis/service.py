"""The runtime of a service: its database, its broker, its consumer, and the work that goes on beside requests."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from aiokafka.errors import KafkaError
from hulpketen_contracts import CATALOGUE

from services.chassis.broker_watch import BrokerWatch
from services.chassis.catching_up import catch_up_of
from services.chassis.kafka import KafkaProducer, KafkaSubscriber
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.keys import DerivedKey, KeyProvider
from services.chassis.logs import Waits, get_logger
from services.chassis.measuring import EVERY_S, BatchHandler, Gauges, measured
from services.chassis.mongo.answers import Answers
from services.chassis.mongo.coordination import MongoIncarnation, MongoLeases
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.keys import open_provider
from services.chassis.mongo.migrations import Migrator
from services.chassis.mongo.processing_log import COLLECTION, LogStore, ProcessingLog
from services.chassis.mongo.schema import Schema
from services.chassis.mongo.store import MongoStore
from services.chassis.operations import Operations
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.draft import KeyMemory
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.model import Handlers
from services.chassis.pipeline.ports import Publisher
from services.chassis.pipeline.publisher import KafkaPublisher
from services.chassis.preflight import DatabaseCheck, Reasons, until_done
from services.chassis.processing_log import Looks
from services.chassis.settings import ChassisSettings
from services.chassis.telemetry import current_traceparent, start_record_span
from services.chassis.upkeep import HOUSEKEEPING_EVERY_S, RELAY_EVERY_S, Upkeep

log = get_logger(__name__)
AGAIN_S = 1.0
# How long work under way may take to end by itself at a stop. What is cancelled goes on in a thread of the database's
# driver, and would open a connection that nobody closes any more.
ENDING_S = 0.25
Hook = Callable[[], Awaitable[object]]


def now() -> datetime:
    """The time, in UTC, to the millisecond: what the database and the events can hold."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Service:
    """Everything that lives as long as the process.

    Construct it in the composition root (inside a running event loop it connects on `start`); `engine`, `store`,
    `database`, `keys`, `looks`, `producer` and `leases` are there for the service's own modules.
    """

    def __init__(
        self,
        name: str,
        settings: ChassisSettings,
        *,
        schema: Schema,
        handlers: Handlers | None = None,
        topics: Sequence[str] = (),
        batch_handler: BatchHandler | None = None,
        batch_size: int | None = None,
        single_writer: bool = False,
        publisher: Callable[[Service], Publisher] | None = None,
    ) -> None:
        """`schema` is that of its database. `batch_handler` takes the raw records instead of `handlers`, at most
        `batch_size` at once where that is another number than all services', and returns the letters that it buried.
        With `single_writer` only the holder of the lease `writer` consumes. `publisher` makes the way out of the
        outboxes where that is not Kafka."""
        self.name = name
        self.settings = settings
        self.holder = f"{socket.gethostname()}-{os.getpid()}"
        self.client = connect(settings.mongo)
        self.database: Database = self.client[settings.mongo.database]
        self.keys: KeyProvider = open_provider(settings.keys, self.database)
        self.source = f"urn:nld:oin:{settings.service.oin}:systeem:hulpketen-{name}"
        self.producer = KafkaProducer(settings.kafka)
        self.admin = KafkaAdmin(settings.kafka)
        self.leases = MongoLeases(self.database)
        self.incarnation = Incarnation(MongoIncarnation(self.database), self.admin.cluster_id)
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._prepare: list[Hook] = [
            DatabaseCheck(self.client, self.database, now).look,
            partial(Migrator(self.database, schema, self.holder).at_start, allowed=settings.mongo.migrate),
            self.keys.prepare,
        ]
        self._every: list[tuple[str, float, Hook]] = []
        self._on_stop: list[Hook] = []
        self._publishing = log.waits("work_waits", "work_failed", work="publish")
        self._ending = log.waits("work_waits", "work_failed", work="stop")
        self._database_answers = False
        self.letters = DeadLetters(self.database, self.keys)
        references = {event.TOPIC for event in CATALOGUE.values() if event.REFERENCE}
        self.store = MongoStore(self.database, self.letters, reference_topics=references)
        self.answers = Answers(self.database, now, timedelta(hours=settings.pipeline.idempotency_hours))
        self._log_store = LogStore(self.database, self.letters, collection=COLLECTION)
        self.kafka_publisher = KafkaPublisher(self.store, self.producer, self.incarnation.known)
        self.publisher = publisher(self) if publisher else self.kafka_publisher
        self.engine = Engine(
            self.store,
            self.publisher,
            group=name,
            source=self.source,
            clock=now,
            incarnation=self.incarnation.known,
            spawn=self.spawn,
            traceparent=current_traceparent,
            key_memory=KeyMemory(
                settings.pipeline.idempotency_keys, timedelta(hours=settings.pipeline.idempotency_hours)
            ),
        )
        log_publisher = KafkaPublisher(self._log_store, self.producer, self.incarnation.known)
        self.processing_log = ProcessingLog(
            self.database, log_publisher, service=name, source=self.source, clock=now, spawn=self.spawn
        )
        self.consumer = Consumer(
            self.engine,
            self.store,
            handlers or {},
            group=name,
            incarnation=self.incarnation.known,
            start_span=lambda envelope, topic: start_record_span(
                envelope.traceparent, topic, envelope.id, envelope.type, envelope.subject, name
            ),
        )
        self.operations = Operations(name, self.store, self.letters, self.consumer.handle, self.consumer.let_through)
        size = batch_size or settings.pipeline.batch_size
        handle = measured(batch_handler or self.consumer.handle, now)
        subscriber = KafkaSubscriber(settings.kafka, name, topics, handle, size) if topics else None
        self.relay_lease = self.lease("relay")
        self.writer_lease = self.lease("writer") if single_writer else None
        self.watch = BrokerWatch(name, self.incarnation, self.admin, self.producer, subscriber, self.writer_lease)
        self.catch_up = catch_up_of(self, handlers or {}, topics, batch_handler or self.consumer.handle)
        self._upkeep = Upkeep(
            settings.pipeline,
            self.relay_lease,
            ((self.store, self.publisher), (self._log_store, log_publisher)),
            producer=self.producer,
            admin=self.admin,
            incarnation=self.incarnation,
            letters=self.letters,
            consumer=self.consumer,
            group=name,
            clock=now,
        )

    @cached_property
    def _stopping(self) -> asyncio.Event:
        return asyncio.Event()

    @cached_property
    def digest_key(self) -> DerivedKey:
        """The key of digests of requests: the same for ever, or what was done before a new master key is done again."""
        return DerivedKey(self.keys, "request-digests", oldest=True)

    @cached_property
    def looks(self) -> Looks:
        """Writes looks at personal data; an employee has the same pseudonym for ever."""
        key = DerivedKey(self.keys, "employees", oldest=True)
        return Looks(self.name, self.processing_log.record, key, now)

    # What a service adds in its composition root

    def lease(self, name: str, ttl: timedelta | None = None) -> Lease:
        """A lease of this service, for work that one process at a time does."""
        ttl = ttl or timedelta(seconds=self.settings.pipeline.lease_s)
        return Lease(self.leases, name, self.holder, clock=now, ttl=ttl)

    def before_start(self, hook: Hook) -> None:
        """Run this once the database answers, before anything is consumed: snapshots."""
        self._prepare.append(hook)

    def every(self, name: str, seconds: float, work: Hook) -> None:
        """Run this again and again; an error is logged and it goes on."""
        self._every.append((name, seconds, work))

    def on_stop(self, hook: Hook) -> None:
        """Run this at the stop, once nothing is begun any more: else what it ends could begin again."""
        self._on_stop.append(hook)

    async def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let this go on beside the request; what it leaves undone the relay does."""
        task = asyncio.create_task(_quietly(self._publishing, work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Life

    async def start(self) -> None:
        """Return at once; readiness turns green when database, broker and consumer are there."""
        self._task(self._run())

    async def stop(self) -> None:
        """Stop consuming, let what is under way finish within bounds, and disconnect."""
        self._stopping.set()
        if self._tasks:
            _, going_on = await asyncio.wait(self._tasks, timeout=ENDING_S)
            for task in going_on:
                task.cancel()
            await asyncio.gather(*going_on, return_exceptions=True)
        for hook in self._on_stop:  # one that fails, the database being away, keeps no other from its end
            await _quietly(self._ending, hook())
        if self._background:
            await asyncio.wait(self._background, timeout=self.settings.http.shutdown_s)
        with suppress(StoreUnavailable):
            for lease in filter(None, (self.relay_lease, self.writer_lease)):
                await lease.release()
        await self.watch.stop()
        await self.keys.close()
        self.client.close()

    @property
    def caught_up(self) -> bool:
        """Whether it knows what it once knew: a database that was restored is behind at first."""
        return self.catch_up.done

    def checks(self) -> dict[str, bool]:
        """What readiness looks at: the database, the broker, and whether the consume loop goes on."""
        return {"database": self._database_answers, "broker": self.watch.present, "consumer": self.watch.consuming}

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        reasons = Reasons()
        for hook in (*self._prepare, self.catch_up.run):
            if not await until_done(hook, self._pause, reasons):
                return
        self._database_answers = True
        self._task(self._forever("broker", self.settings.kafka.incarnation_check_s, self.watch.check))
        self._task(self._forever("relay", RELAY_EVERY_S, self._relay))
        self._task(self._forever("housekeeping", HOUSEKEEPING_EVERY_S, self._keep_house))
        self._task(self._forever("gauges", EVERY_S, self._gauges().look))
        for name, seconds, work in self._every:
            self._task(self._forever(name, seconds, work))

    async def _forever(self, name: str, seconds: float, work: Hook) -> None:
        waits = log.waits("work_waits", "work_failed", work=name)
        while not self._stopping.is_set():
            await _quietly(waits, work())
            await self._pause(seconds)

    async def _pause(self, seconds: float = AGAIN_S) -> bool:
        """Whether to go on after it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return not self._stopping.is_set()

    def _gauges(self) -> Gauges:
        outboxes = {"events": self.store, "looks": self._log_store}
        return Gauges(self.database, outboxes, self.letters, self.relay_lease, lambda: self.watch.consumer, now)

    async def _relay(self) -> None:
        try:
            waiting = await self._upkeep.relay(self.watch.present)
        except StoreUnavailable:
            self._database_answers = False
            raise
        self._database_answers = True
        self.engine.outbox_full = waiting >= self.settings.pipeline.outbox_limit

    async def _keep_house(self) -> None:
        if self.watch.present:
            await self._upkeep.keep_house()


async def _quietly(waits: Waits, work: Awaitable[object]) -> None:
    """An error is written to the log and does not end the loop that it comes from."""
    try:
        await work
    except (StoreUnavailable, KafkaError, OSError) as error:
        waits.say(error=error)
    except Exception as error:  # noqa: BLE001 - one failure must not end the loop
        waits.say(error=error, failed=True)
    else:
        waits.over()
