"""The pipeline's ports, each in two ways: over MongoDB and Kafka's protocol, and in memory as the simulation has it."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from services.chassis.kafka import KafkaProducer, KafkaSubscriber
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.keys import FileKeyProvider
from services.chassis.loops import BatchLoop
from services.chassis.mongo.coordination import MongoIncarnation, MongoLeases
from services.chassis.mongo.database import connect
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.feeds import INDEXES, MongoFeeds
from services.chassis.mongo.indexes import make_all
from services.chassis.mongo.schema import CHASSIS
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.model import Record
from services.chassis.pipeline.ports import Document
from services.chassis.service import now
from services.chassis.settings import KafkaSettings, MongoSettings
from tests.conftest import Embedded, Infrastructure
from tests.simulation.memory_broker import MemoryBroker, MemoryProducer, MemorySubscriber
from tests.simulation.memory_rest import MemoryFeeds, MemoryIncarnation, MemoryLeases
from tests.simulation.memory_store import Database, MemoryDeadLetters, MemoryStore

REFERENCE = "directory"
TOO_LARGE = 16 * 1024 * 1024
Place = tuple[str, int]
Handle = Callable[[Sequence[Record]], Awaitable[object]]


@dataclass
class Stores:
    """The database of one service."""

    store: MongoStore | MemoryStore
    letters: DeadLetters | MemoryDeadLetters
    feeds: MongoFeeds | MemoryFeeds
    leases: MongoLeases | MemoryLeases
    incarnation: MongoIncarnation | MemoryIncarnation


def stores_in_memory() -> Stores:
    """A database of the simulation, that nothing goes wrong with."""
    database = Database(random.Random(0))
    store = MemoryStore(database, now, reference_topics=[REFERENCE], refuses=_too_large)
    return Stores(store, store.letters, MemoryFeeds(database), MemoryLeases(database, now), MemoryIncarnation(database))


def _too_large(document: Document) -> bool:
    return len((document["state"] or {}).get("bytes", b"")) >= TOO_LARGE


@asynccontextmanager
async def stores_in_mongo(infrastructure: Infrastructure, folder: Path) -> AsyncIterator[Stores]:
    """A database of the test's own, with its indexes; it goes at the end."""
    name = f"pipeline_{uuid.uuid4().hex[:8]}"
    client = connect(MongoSettings(uri=SecretStr(infrastructure.mongo), database=name))
    database = client[name]
    letters = DeadLetters(database, FileKeyProvider(folder / "keys.json"))
    store, feeds = MongoStore(database, letters, reference_topics=[REFERENCE]), MongoFeeds(database)
    try:
        await make_all(database, (*CHASSIS, *INDEXES))
        yield Stores(store, letters, feeds, MongoLeases(database), MongoIncarnation(database))
    finally:
        await client.drop_database(name)
        client.close()


class Brokers(Protocol):
    """A broker, and what the chassis has of clients for it."""

    async def cluster_id(self) -> str: ...

    async def make_topics(self, names: Iterable[str]) -> None: ...

    async def committed(self, group: str, places: Sequence[Place]) -> Mapping[Place, int]: ...

    async def lose_log(self) -> None:
        """It is killed, and comes back as another."""

    def producer(self) -> KafkaProducer | MemoryProducer:
        """One that was not started."""

    @asynccontextmanager
    def subscribed(self, group: str, topic: str, handle: Handle) -> AsyncIterator[None]:
        """`handle` is given batches, each until it is safe."""


class MemoryBrokers:
    """The broker of the simulation, that nothing goes wrong with."""

    def __init__(self) -> None:
        self._rng = random.Random(0)
        self._broker = MemoryBroker(self._rng)
        self.cluster_id = self._broker.ask
        self.make_topics = self._broker.make_topics
        self.committed = self._broker.committed

    async def lose_log(self) -> None:
        self._broker.lose_log()

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self._broker, self._rng, _never)

    @asynccontextmanager
    async def subscribed(self, group: str, topic: str, handle: Handle) -> AsyncIterator[None]:
        subscriber = MemorySubscriber(
            self._broker, group, [topic], BatchLoop(handle).until_safe, lambda: 2, lambda: asyncio.sleep(0.001)
        )
        await subscriber.start()
        running = asyncio.create_task(subscriber.run())
        try:
            yield
        finally:
            await subscriber.stop()
            while subscriber.busy:
                await asyncio.sleep(0.001)
            running.cancel()


def _never(work: Any) -> None:
    raise AssertionError("nothing is late where nothing goes wrong")


class KafkaBrokers:
    """The broker of the tests."""

    def __init__(self, infrastructure: Infrastructure) -> None:
        self._infrastructure = infrastructure
        own = {"partitions": 2, "request_timeout_ms": 1500, "fetch_wait_ms": 30}
        self._settings = KafkaSettings.model_validate(infrastructure.settings | own)

    async def cluster_id(self) -> str:
        async with self._admin() as admin:
            return await admin.cluster_id()

    async def make_topics(self, names: Iterable[str]) -> None:
        async with self._admin() as admin:
            await admin.make_topics(names)

    async def committed(self, group: str, places: Sequence[Place]) -> Mapping[Place, int]:
        async with self._admin() as admin:
            return await admin.committed(group, places)

    async def lose_log(self) -> None:
        if not isinstance(self._infrastructure, Embedded):
            pytest.skip("a broker that comes back without its log is the embedded one")
        # aiokafka says at length that it cannot reach a broker that was killed.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        before = await self.cluster_id()
        self._infrastructure.kill("broker")
        while True:
            try:
                if await self.cluster_id() != before:
                    return
            except (KafkaError, TimeoutError):
                await asyncio.sleep(0.05)

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self._settings)

    @asynccontextmanager
    async def subscribed(self, group: str, topic: str, handle: Handle) -> AsyncIterator[None]:
        subscriber = KafkaSubscriber(self._settings, group, [topic], handle, batch=2)
        await subscriber.start()
        try:
            yield
        finally:
            await subscriber.stop()

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[KafkaAdmin]:
        admin = KafkaAdmin(self._settings)
        try:
            yield admin
        finally:
            await admin.close()
