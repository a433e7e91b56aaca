"""What the pipeline counts on of its broker, and that the broker of the simulation is no better than the real one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from services.chassis.kafka import KafkaProducer
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Ack, Outgoing, Record
from tests.pipeline.pairs import Brokers
from tests.simulation.memory_broker import MemoryProducer

LIMIT_S = 20


class Reader:
    """Keeps what it is given; the first `failures` times the database is away."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[Record]] = []
        self.records: list[Record] = []
        self._failures = failures

    async def __call__(self, records: Sequence[Record]) -> None:
        self.batches.append(list(records))
        if len(self.batches) <= self._failures:
            raise StoreUnavailable("for a test")
        self.records += records

    async def until(self, count: int) -> list[Record]:
        await until(lambda: len(self.records) >= count)
        return self.records


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0.005)


@pytest.fixture
async def topic(brokers: Brokers) -> str:
    """A topic of the test's own."""
    name = f"topic-{uuid.uuid4().hex[:8]}"
    await brokers.make_topics([name])
    return name


@asynccontextmanager
async def started(brokers: Brokers) -> AsyncIterator[KafkaProducer | MemoryProducer]:
    """A producer that sends to the broker as it is now."""
    producer = brokers.producer()
    await producer.start(await brokers.cluster_id())
    try:
        yield producer
    finally:
        await producer.stop()


async def test_what_is_sent_comes_as_it_was_at_the_place_that_was_acknowledged(brokers: Brokers, topic: str) -> None:
    reader = Reader()
    sent = [_record(topic, f"key-{n % 3}", n) for n in range(9)]
    async with started(brokers) as producer, brokers.subscribed(topic, topic, reader):
        acks = await producer.send(sent)
        received = await reader.until(len(sent))
    assert {Ack(r.partition, r.offset): _outgoing(r) for r in received} == dict(zip(acks, sent, strict=True))


async def test_a_record_with_headers_that_are_no_text_comes_as_it_was_and_takes_no_other_with_it(
    brokers: Brokers, topic: str
) -> None:
    reader = Reader()
    broken = [
        Outgoing(topic, b"key", {"ce_type": b"\xff\xfe"}, b"not UTF-8"),
        Outgoing(topic, b"key", cast("dict[str, bytes]", {"ce_type": None}), b"null"),
    ]
    sent = [_record(topic, "key", 1), *broken, _record(topic, "key", 2)]
    async with started(brokers) as producer, brokers.subscribed(topic, topic, reader):
        await producer.send(sent)
        received = await reader.until(len(sent))
    assert [(dict(r.headers), r.value) for r in received] == [(o.headers, o.value) for o in sent]


async def test_records_of_one_key_come_in_the_order_in_which_they_were_sent(brokers: Brokers, topic: str) -> None:
    reader = Reader()
    async with started(brokers) as producer, brokers.subscribed(topic, topic, reader):
        for first in (0, 12):
            await producer.send([_record(topic, f"key-{n % 4}", n) for n in range(first, first + 12)])
        received = await reader.until(24)
    for key in range(4):
        values = [r.value for r in received if r.key == b"key-%d" % key]
        assert values == [b"%d" % n for n in range(24) if n % 4 == key]
        assert len({r.partition for r in received if r.key == b"key-%d" % key}) == 1


async def test_a_group_goes_on_behind_what_it_handled_and_another_begins_at_the_first(
    brokers: Brokers, topic: str
) -> None:
    async with started(brokers) as producer:
        (ack,) = await producer.send([_record(topic, "key", 1)])
        assert ack
        place = (topic, ack.partition)
        assert await brokers.committed(topic, [place]) == {place: -1}
        one, again, other = Reader(), Reader(), Reader()
        async with brokers.subscribed(topic, topic, one):
            await one.until(1)
        assert await brokers.committed(topic, [place]) == {place: ack.offset + 1}
        await producer.send([_record(topic, "key", 2)])
        async with brokers.subscribed(topic, topic, again), brokers.subscribed(f"{topic}-other", topic, other):
            assert [r.value for r in await again.until(1)] == [b"2"]
            assert [r.value for r in await other.until(2)] == [b"1", b"2"]
    assert len(again.records) == 1


async def test_nothing_is_committed_before_its_batch_is_safe(brokers: Brokers, topic: str) -> None:
    reader = Reader(failures=2)
    async with started(brokers) as producer:
        (ack,) = await producer.send([_record(topic, "key", 1)])
        assert ack
        place = (topic, ack.partition)
        async with brokers.subscribed(topic, topic, reader):
            await until(lambda: len(reader.batches) == 2)
            assert await brokers.committed(topic, [place]) == {place: -1}
            await reader.until(1)
        assert await brokers.committed(topic, [place]) == {place: ack.offset + 1}
    assert [[r.value for r in batch] for batch in reader.batches] == [[b"1"]] * 3


async def test_making_a_topic_that_is_there_keeps_its_records(brokers: Brokers, topic: str) -> None:
    reader = Reader()
    async with started(brokers) as producer:
        await producer.send([_record(topic, "key", 1)])
        await brokers.make_topics([topic])
        async with brokers.subscribed(topic, topic, reader):
            assert [r.value for r in await reader.until(1)] == [b"1"]


async def test_a_producer_that_was_not_started_sends_nothing(brokers: Brokers, topic: str) -> None:
    producer = brokers.producer()
    assert await producer.send([_record(topic, "key", 1)]) == [None]


async def test_a_record_is_not_sent_to_a_broker_that_lost_its_log(brokers: Brokers, topic: str) -> None:
    forgotten, reader = Reader(), Reader()
    async with started(brokers) as producer:
        (before,) = await producer.send([_record(topic, "key", 1)])
        assert before
        async with brokers.subscribed(topic, topic, forgotten):
            await forgotten.until(1)
        await brokers.lose_log()
        (between,) = await producer.send([_record(topic, "key", 2)])
        await brokers.make_topics([topic])
        await producer.start(await brokers.cluster_id())
        (after,) = await producer.send([_record(topic, "key", 3)])
        assert between is None
        assert after == before  # the first of its partition, again
        place = (topic, after.partition)
        assert await brokers.committed(topic, [place]) == {place: -1}
        async with brokers.subscribed(topic, topic, reader):
            assert [r.value for r in await reader.until(1)] == [b"3"]


def _record(topic: str, key: str, n: int) -> Outgoing:
    return Outgoing(topic, key.encode(), {"ce_id": b"\x00%d" % n, "content-type": b"application/json"}, b"%d" % n)


def _outgoing(record: Record) -> Outgoing:
    return Outgoing(record.topic, record.key or b"", {n: v or b"" for n, v in record.headers}, record.value or b"")
