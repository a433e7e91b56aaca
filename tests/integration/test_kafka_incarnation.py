"""A producer of one incarnation of the broker lets go when another comes, and holds on through a broken connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from deploy.local.stack import LocalStack
from services.chassis.kafka import KafkaProducer
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.pipeline.model import Outgoing
from services.chassis.settings import KafkaSettings

pytestmark = pytest.mark.embedded("a broker that comes back without its log")

TOPIC = "signals"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[LocalStack]:
    # aiokafka says at length that it cannot reach a broker that was killed.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    async with LocalStack(tmp_path, run=()) as stack:
        yield stack


@pytest.fixture
async def producer(stack: LocalStack) -> AsyncIterator[KafkaProducer]:
    producer = KafkaProducer(_settings(stack))
    await producer.start(await _topics(stack))
    yield producer
    await producer.stop()


async def test_who_waits_for_a_former_incarnation_is_let_go(stack: LocalStack, producer: KafkaProducer) -> None:
    await _broken_anew(stack)
    waiting = asyncio.create_task(producer.send([_record(b"between")]))
    await asyncio.sleep(0)
    await producer.start(await _topics(stack))
    async with asyncio.timeout(1):
        assert await waiting == [None]


async def test_a_broker_that_only_broke_the_connection_is_sent_to_again(
    stack: LocalStack, producer: KafkaProducer
) -> None:
    assert producer._producer
    for connection in producer._producer.client._conns.values():
        connection.close()
    assert None not in await producer.send([_record(b"again")])


def _settings(stack: LocalStack) -> KafkaSettings:
    return KafkaSettings(bootstrap=stack.addresses["kafka"], idempotent=False, request_timeout_ms=1500)


def _record(value: bytes) -> Outgoing:
    return Outgoing(TOPIC, b"key", {}, value)


async def _broken_anew(stack: LocalStack) -> None:
    before = await _cluster(stack)
    stack.kill("broker")
    while True:
        try:
            if await _cluster(stack) != before:
                return
        except (KafkaError, TimeoutError):
            await asyncio.sleep(0.05)


async def _cluster(stack: LocalStack) -> str:
    admin = KafkaAdmin(_settings(stack))
    try:
        return await admin.cluster_id()
    finally:
        await admin.close()


async def _topics(stack: LocalStack) -> str:
    """Make the topic; the broker's cluster id."""
    admin = KafkaAdmin(_settings(stack))
    try:
        await admin.make_topics([TOPIC])
    finally:
        await admin.close()
    return await _cluster(stack)
