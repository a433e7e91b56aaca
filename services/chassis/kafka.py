"""Kafka: FastStream owns the subscription and its life cycle; sends go through aiokafka, all in flight together."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAlreadyExistsError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker as FastStreamBroker
from faststream.kafka.annotations import KafkaMessage

from services.chassis import metrics
from services.chassis.kafka_connection import connection, security
from services.chassis.kafka_rights import APPLY, Described, check_door, check_topics
from services.chassis.kafka_tie import tie
from services.chassis.logs import get_logger
from services.chassis.loops import BatchLoop, Handle
from services.chassis.pipeline.model import Ack, Outgoing, Record
from services.chassis.preflight import NotReady
from services.chassis.settings import KafkaSettings

log = get_logger(__name__)
ANSWER_S = 5.0


async def _undecoded(_: object) -> None:
    """Decoding is the contracts' work: FastStream would do it a second time, and cost 80 % of the throughput."""


async def _headers_unread(batch: tuple[Any, ...], parse: Callable[[Any], Awaitable[Any]]) -> Any:
    """So is reading headers: FastStream drops a batch in silence where one of them is null or not UTF-8."""
    message = await parse((replace(batch[0], headers=()),))
    message.raw_message = batch
    return message


class KafkaProducer:
    """Sends records to one incarnation of the broker, and says which were acknowledged.

    A broker that lost its log may acknowledge records for a topic that it does not have, and lose them: so nothing is
    sent to another incarnation than the one that `start` named, once its topics were made.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._former: set[asyncio.Task[None]] = set()
        self._in_flight: set[asyncio.Future[Any]] = set()
        self.cluster = ""
        self._waits = log.waits("send_failed")

    async def start(self, cluster: str) -> None:
        """Connect to the incarnation with this cluster id, and let go of the one before. Raises KafkaError."""
        producer = AIOKafkaProducer(
            **connection(self._settings),
            acks="all",
            partitioner=_partition,
            enable_idempotence=self._settings.idempotent,
            request_timeout_ms=self._settings.request_timeout_ms,
            max_batch_size=131072,
            retry_backoff_ms=50,
            metadata_max_age_ms=30000,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        tie(producer.client, cluster)
        former, self._producer, self.cluster = self._producer, producer, cluster
        # What the one before still holds is never sent: who waits for it need not wait for the request timeout.
        for future in self._in_flight:
            future.cancel()
        if former:
            task = asyncio.create_task(former.stop())
            self._former.add(task)
            task.add_done_callback(self._former.discard)

    async def stop(self) -> None:
        """Send what is in flight, within the request timeout, and disconnect."""
        if self._producer:
            producer, self._producer, self.cluster = self._producer, None, ""
            await producer.stop()
        await asyncio.gather(*self._former)

    async def send(self, records: Sequence[Outgoing], partition: int | None = None) -> list[Ack | None]:
        """Send all together, to the partition of each key or to one; None for each record not acknowledged in time."""
        producer = self._producer
        if producer is None:
            return [None] * len(records)
        timeout = self._settings.request_timeout_ms / 1000
        futures: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(timeout):
                for topic, key, headers, value in records:
                    futures.append(
                        await producer.send(topic, value, key=key, headers=list(headers.items()), partition=partition)
                    )
        except (KafkaError, TimeoutError) as error:
            self._waits.say(error=error, sent=len(futures), of=len(records))
        if futures:
            self._in_flight.update(futures)
            await asyncio.wait(futures, timeout=timeout)
            self._in_flight.difference_update(futures)
        acks = [_ack(future) for future in futures] + [None] * (len(records) - len(futures))
        if None not in acks:
            self._waits.over()
        types = (metrics.type_of(record.headers.get("ce_type")) for record in records)
        outcomes = ("failed" if ack is None else "acknowledged" for ack in acks)
        metrics.count(metrics.events_sent, Counter(zip(types, outcomes, strict=True)))
        return acks


def _partition(key: bytes | None, every: Sequence[int], available: Sequence[int]) -> int:
    """The same partition for the same key. aiokafka's own hash, in Python, takes twenty times as long."""
    return every[zlib.crc32(key or b"") % len(every)]


def _ack(future: asyncio.Future[Any]) -> Ack | None:
    if not future.done() or future.cancelled() or future.exception() is not None:
        return None
    metadata = future.result()
    return Ack(metadata.partition, metadata.offset)


class KafkaSubscriber:
    """One subscription of one group to all topics of a service, in batches of raw records."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str], handle: Handle, batch: int) -> None:
        self._settings = settings
        self._group = group
        self._batch = batch
        self._loop = BatchLoop(handle)
        self._broker = FastStreamBroker(
            settings.bootstrap.split(","),
            security=security(settings),
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=5.0,
            logger=None,
        )
        subscriber = self._broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            parser=_headers_unread,
            decoder=_undecoded,
        )
        subscriber(self._on_batch)
        subscriber.get_msg = self._next  # type: ignore[method-assign]
        self._subscriber = subscriber

    async def start(self) -> None:
        """Subscribe. Raises KafkaError while the broker is away, and NotReady where the group may not be joined."""
        try:
            await self._broker.start()
        except GroupAuthorizationFailedError as error:
            await self._broker.stop()
            who = self._settings.sasl_username or "this service"
            raise NotReady(f"{who} may not read the group {self._group}", APPLY) from error
        self._loop.healthy = True

    async def stop(self) -> None:
        """Let the batch at hand finish, within bounds, and leave the group."""
        self._loop.healthy = False
        await self._broker.stop()

    @property
    def assigned(self) -> bool:
        """Whether the group has formed and the last batch went well: what readiness looks at."""
        consumer = self._subscriber.consumer
        return self._loop.healthy and consumer is not None and consumer.subscription() is not None

    async def _next(self, consumer: AIOKafkaConsumer) -> tuple[Any, ...]:
        """Wait for records. FastStream's own way sleeps after each look that finds nothing, and while it sleeps what
        comes waits."""
        found = await consumer.getmany(timeout_ms=self._settings.poll_timeout_ms, max_records=self._batch)
        return tuple(record for records in found.values() for record in records)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """What it reads with, while it is subscribed."""
        return self._subscriber.consumer

    async def _on_batch(self, _: Any, message: KafkaMessage) -> None:
        raw = message.raw_message
        records = [
            Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
            for r in (raw if isinstance(raw, tuple) else (raw,))
        ]
        await self._loop.until_safe(records)
        await message.ack()


class KafkaAdmin:
    """Topics, the identity of the cluster, and how far groups have come."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaAdminClient | None = None

    async def cluster_id(self) -> str:
        """The cluster's id: another one than before means another log. Raises KafkaError, TimeoutError."""
        try:
            async with asyncio.timeout(ANSWER_S):
                client = await self._connected()
                described = await client.describe_cluster()
        except BaseException:
            await self.close()
            raise
        return str(described["cluster_id"])

    async def make_topics(self, names: Iterable[str], partitions: int | None = None) -> None:
        """Make the topics that are not there; with the partitions of the settings if no other number is given."""
        client = await self._connected()
        missing = set(names) - set(await client.list_topics())
        for name in sorted(missing):
            topic = NewTopic(name, partitions or self._settings.partitions, 1)
            try:
                await client.create_topics([topic])
            except TopicAlreadyExistsError:
                continue

    async def ensure_topics(self, wanted: Mapping[str, Collection[int]], partitions: int | None = None) -> None:
        """Make these topics, or where others make them see that they are there and that we may do with each what is
        wanted (kafka_rights: READ, WRITE). Raises NotReady, KafkaError."""
        if self._settings.make_topics:
            await self.make_topics(wanted, partitions)
            return
        client = await self._connected()
        answer = await client._send_request(Described(wanted))
        check_topics(
            answer, wanted, partitions or self._settings.partitions, self._settings.sasl_username or "this service"
        )

    async def check_door(self) -> None:
        """Raises NotReady where a broker answers and does not let us in."""
        await check_door(connection(self._settings))

    async def committed(self, group: str, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """The offset after the last one that the group committed; -1 where it never did."""
        client = await self._connected()
        wanted = [TopicPartition(topic, partition) for topic, partition in partitions]
        offsets = await client.list_consumer_group_offsets(group, partitions=wanted)
        # Of a group that has none yet, or whose coordinator has just come, Kafka may answer nothing at all.
        return dict.fromkeys(partitions, -1) | {(tp.topic, tp.partition): int(o.offset) for tp, o in offsets.items()}

    async def close(self) -> None:
        """Disconnect."""
        if self._client:
            client, self._client = self._client, None
            await client.close()

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._client is None:
            client = AIOKafkaAdminClient(
                **connection(self._settings), request_timeout_ms=self._settings.request_timeout_ms
            )
            await client.start()
            self._client = client
        return self._client
