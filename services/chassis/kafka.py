"""Kafka: FastStream owns the subscription and its life cycle; sends go through aiokafka, all in flight together."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)
from faststream import AckPolicy
from faststream.kafka import KafkaBroker as FastStreamBroker
from faststream.kafka.annotations import KafkaMessage

from services.chassis import metrics
from services.chassis.kafka_connection import connection, security
from services.chassis.kafka_rights import APPLY
from services.chassis.kafka_tie import tie
from services.chassis.logs import get_logger
from services.chassis.loops import BatchLoop, Handle
from services.chassis.pipeline.model import Ack, Outgoing, Record
from services.chassis.preflight import NotReady
from services.chassis.settings import KafkaSettings

log = get_logger(__name__)
_SPENT = (OutOfOrderSequenceNumber, ProducerFenced, UnknownProducerId, InvalidProducerIdMapping, InvalidProducerEpoch)


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
        if any(_spent(future) for future in futures):
            self.cluster = ""  # no send of this producer gets through any more: the next look makes another
        if None not in acks:
            self._waits.over()
        types = (metrics.type_of(record.headers.get("ce_type")) for record in records)
        outcomes = ("failed" if ack is None else "acknowledged" for ack in acks)
        metrics.count(metrics.events_sent, Counter(zip(types, outcomes, strict=True)))
        return acks


def _partition(key: bytes | None, every: Sequence[int], available: Sequence[int]) -> int:
    """The same partition for the same key. aiokafka's own hash, in Python, takes twenty times as long."""
    return every[zlib.crc32(key or b"") % len(every)]


def _spent(future: asyncio.Future[Any]) -> bool:
    """Whether the numbers that make a producer idempotent have a gap now: the broker then refuses all that comes."""
    return future.done() and not future.cancelled() and isinstance(future.exception(), _SPENT)


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
        self._waits = log.waits("consumer_refused", group=group)
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
        except BaseException as error:
            await self._broker.stop()
            if not isinstance(error, GroupAuthorizationFailedError):
                raise
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
        try:
            found = await consumer.getmany(timeout_ms=self._settings.poll_timeout_ms, max_records=self._batch)
        except KafkaError as error:
            # FastStream sleeps and tries again, without a word.
            self._loop.healthy = False
            self._waits.say(error=error)
            raise
        self._waits.over()
        self._loop.healthy = True
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
