"""One replica of a service, composed of the chassis' own parts as `services.chassis.service` composes them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from hulpketen_contracts import Event

from services.chassis.broker_watch import BrokerWatch
from services.chassis.housekeeping import Housekeeper
from services.chassis.loops import BatchLoop, work_under
from services.chassis.operations import Operations, StillDead
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import PipelineError, StoreUnavailable, UnknownDeadLetter
from services.chassis.pipeline.feed import FeedPublisher
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.model import Command, Handler
from services.chassis.pipeline.ports import Publisher
from services.chassis.pipeline.publisher import KafkaPublisher
from services.chassis.pipeline.relay import Relay, Republisher
from tests.simulation import toy
from tests.simulation.memory_broker import BrokerAway, MemoryBroker, MemoryProducer, MemorySubscriber
from tests.simulation.memory_rest import MemoryFeeds, MemoryIncarnation, MemoryLeases
from tests.simulation.memory_store import Database, MemoryStore
from tests.simulation.scheduler import Scheduler, sleep

RELAY_AFTER = timedelta(seconds=0.8)
OFFER_AFTER = timedelta(seconds=3)
LEASE = timedelta(seconds=1.5)
KEEP_FOR = timedelta(seconds=0.5)


@dataclass
class Deployment:
    """What outlives the processes of a service: its name, handlers and database."""

    name: str
    replicas: int
    topics: Sequence[str]
    handlers: Mapping[type[Event], Handler]
    database: Database
    store: MemoryStore
    leases: MemoryLeases
    incarnation: MemoryIncarnation
    feeds: MemoryFeeds
    to_feeds: bool = False


@dataclass
class Reply:
    """What a client sees of a request that it sent."""

    value: Any = None
    error: Exception | None = None
    done: bool = False


@dataclass
class Switches:
    """What the run lets processes do now."""

    operations: bool = True
    housekeeping: bool = True
    offers: bool = True
    idle_s: float = 0.15
    watch_s: float = 0.4
    batch: Callable[[], int] = field(default=lambda: 3)


class _Span:
    traceparent = None

    def end(self, error: str | None = None) -> None:
        """Nobody looks at traces here."""


_SPAN = _Span()


class Process:
    """Its coroutines are dropped when it is killed, with all that it held in memory."""

    def __init__(
        self,
        deployment: Deployment,
        holder: str,
        broker: MemoryBroker,
        producer: MemoryProducer,
        scheduler: Scheduler,
        switches: Switches,
    ) -> None:
        self.deployment = deployment
        self.alive = True
        self._broker = broker
        self._scheduler = scheduler
        self._switches = switches
        self._publishing: set[Coroutine[Any, Any, None]] = set()
        self._letters = deployment.store.letters
        clock = scheduler.now
        self._incarnation = Incarnation(deployment.incarnation, broker.ask)
        known = self._incarnation.known
        store = deployment.store
        publisher: Publisher = (
            FeedPublisher(store, deployment.feeds) if deployment.to_feeds else KafkaPublisher(store, producer, known)
        )
        self.engine = Engine(
            store,
            publisher,
            group=deployment.name,
            source=f"urn:nld:oin:00000099000000000001:systeem:hulpketen-{deployment.name}",
            clock=clock,
            incarnation=known,
            spawn=self._spawn,
        )
        self.consumer = Consumer(
            self.engine,
            store,
            deployment.handlers,
            group=deployment.name,
            incarnation=known,
            start_span=lambda _, __: _SPAN,
        )
        self._operations = Operations(
            deployment.name,
            cast(Any, store),
            cast(Any, self._letters),
            self.consumer.handle,
            self.consumer.let_through,
        )
        loop = BatchLoop(self.consumer.handle, sleep=sleep)
        self.subscriber = MemorySubscriber(
            broker, deployment.name, deployment.topics, loop.until_safe, switches.batch, lambda: sleep(switches.idle_s)
        )
        self._watch = BrokerWatch(
            deployment.name,
            self._incarnation,
            cast(Any, broker),
            cast(Any, producer),
            cast(Any, self.subscriber) if deployment.topics else None,
            None,
        )
        self._lease = Lease(deployment.leases, "relay", holder, clock=clock, ttl=LEASE)
        self._works = (
            Relay(store, publisher, clock=clock, after=RELAY_AFTER),
            Republisher(store, producer, known),
        )
        self._housekeeper = Housekeeper(
            cast(Any, store), self._committed, incarnation=known, ask=broker.ask, clock=clock, keep_for=KEEP_FOR
        )

    def start(self) -> None:
        """Let its loops run."""
        self._loop("watch", self._switches.watch_s, self._watch.check)
        self._loop("relay", 0.4, self._relay)
        self._loop("housekeeping", 0.7, self._keep_house)
        if self.deployment.topics:
            self._run("consume", self.subscriber.run())
            self._loop("operations", 1.0, self._operate)

    @property
    def busy(self) -> bool:
        """Whether it is in the middle of a batch or of publishing."""
        return self.subscriber.busy or bool(self._publishing)

    def call(self, commands: Sequence[Command]) -> Reply:
        """A request over HTTP."""
        reply = Reply()
        self._run("request", self._answer(commands, reply))
        return reply

    async def _answer(self, commands: Sequence[Command], reply: Reply) -> None:
        try:
            reply.value = await self.engine.execute_many(commands)
        except PipelineError as error:
            reply.error = error
        reply.done = True

    def _run(self, name: str, coro: Coroutine[Any, Any, object]) -> None:
        self._scheduler.spawn(f"{self.deployment.name} {name}", coro, self)

    def _loop(self, name: str, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._run(name, _forever(seconds, work))

    def kill(self) -> None:
        """kill -9."""
        self.alive = False
        self._scheduler.kill(self)
        for work in self._publishing:
            work.close()
        self.subscriber.vanish()

    async def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._publishing.add(work)
        self._run("publish", self._publish(work))

    async def _publish(self, work: Coroutine[Any, Any, None]) -> None:
        await _quietly(work)
        self._publishing.discard(work)

    async def _relay(self) -> None:
        await self.deployment.store.waiting()
        if self._incarnation.known() and self._watch.present:
            await work_under(self._lease, self._works)

    async def _keep_house(self) -> None:
        if self._switches.housekeeping and self._watch.present and await self._lease.held():
            while await self._housekeeper.run_once():
                pass
            if self._switches.offers:
                await self.consumer.offer_parked(self._scheduler.now() - OFFER_AFTER)

    async def _committed(self, group: str, places: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Of the groups that the catalogue names, those that follow the topic here; the others are past everything."""
        if all(topic in toy.FOLLOWED.get(group, ()) for topic, _ in places):
            return await self._broker.committed(group, places)
        return dict.fromkeys(places, 1_000_000)

    async def _operate(self) -> None:
        """Operations staff: skip what can never be read, replay the rest."""
        if not self._switches.operations:
            return
        for id, letter in list(self._letters.held.items()):
            if "skipped" in letter:
                continue
            if letter["reason"] == "decision-failed":
                await self._replay(id)
            else:
                await self._operations.skip(id, "cannot be read")

    async def _replay(self, id: str) -> None:
        try:
            await self._operations.replay(id)
        except (StillDead, UnknownDeadLetter):
            return


async def _forever(seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        await _quietly(work())
        await sleep(seconds)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (StoreUnavailable, BrokerAway):
        return
