"""What a service says of a broker that lacks a topic or a right, or does not let it in: one line, and what to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, NewTopic, ResourceType

from services.chassis.kafka import KafkaProducer, KafkaSubscriber
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.kafka_rights import READ, WRITE
from services.chassis.pipeline.model import Outgoing, Record
from services.chassis.preflight import NotReady
from services.chassis.settings import KafkaSettings
from tests.containers.engine import Kafka

TOPIC = "rights"


@pytest.fixture(scope="module", autouse=True)
def topic(kafka: Kafka) -> None:
    for made in kafka.admin.create_topics([NewTopic(TOPIC, 2, 1)]).values():
        made.result(30)


@asynccontextmanager
async def an_admin(settings: Mapping[str, Any]) -> AsyncIterator[KafkaAdmin]:
    admin = KafkaAdmin(KafkaSettings(**settings))
    try:
        yield admin
    finally:
        await admin.close()


async def refusal(settings: Mapping[str, Any], *operations: int, name: str = TOPIC) -> NotReady:
    async with an_admin(settings) as admin:
        with pytest.raises(NotReady) as refused:
            await admin.ensure_topics({name: operations})
    return refused.value


async def test_a_topic_that_may_not_be_seen_or_is_missing(kafka: Kafka) -> None:
    stranger = {**kafka.add_user("stranger"), "partitions": 2}
    assert (await refusal(stranger, READ)).what == "stranger may not read the topic rights"
    missing = await refusal(kafka.settings("admin"), READ, name="not-there")
    assert "not-there is missing" in missing.what
    assert "topics apply" in missing.todo


async def test_a_right_that_is_missing_is_named(kafka: Kafka) -> None:
    reader = {**kafka.add_user("reader"), "partitions": 2}
    kafka.allow("reader", ResourceType.TOPIC, TOPIC, AclOperation.READ)
    async with an_admin(reader) as admin:
        await admin.ensure_topics({TOPIC: [READ]})
    assert (await refusal(reader, READ, WRITE)).what == "reader may not write the topic rights"


async def test_another_number_of_partitions_is_said(kafka: Kafka) -> None:
    refused = await refusal({**kafka.settings("admin"), "partitions": 3}, READ)
    assert refused.what == "the topic rights has 2 partitions, and KAFKA_PARTITIONS says 3"


async def test_nothing_is_made(kafka: Kafka) -> None:
    await refusal(kafka.settings("admin"), WRITE, name="never-made")
    assert "never-made" not in kafka.admin.list_topics(timeout=30).topics


async def test_a_wrong_password_is_said(kafka: Kafka) -> None:
    wrong = {**kafka.add_user("mistaken"), "sasl_password": "another"}
    async with an_admin(wrong) as admin:
        with pytest.raises(NotReady, match="refuses the name or password of mistaken"):
            await admin.check_door()


async def test_a_broker_that_speaks_no_tls_is_said(kafka: Kafka) -> None:
    async with an_admin({**kafka.settings("admin"), "security_protocol": "SASL_SSL"}) as admin:
        with pytest.raises(NotReady, match="KAFKA_SECURITY_PROTOCOL"):
            await admin.check_door()


async def test_who_is_let_in_hears_nothing(kafka: Kafka) -> None:
    async with an_admin(kafka.settings("admin")) as admin:
        await admin.check_door()


async def test_a_group_that_may_not_be_joined_is_not_ready(kafka: Kafka, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")
    loner = kafka.add_user("loner")
    kafka.allow("loner", ResourceType.TOPIC, TOPIC, AclOperation.READ)

    async def handle(records: Sequence[Record]) -> None:
        raise AssertionError(records)

    subscriber = KafkaSubscriber(KafkaSettings(**loner), "loners", [TOPIC], handle, 10)
    with pytest.raises(NotReady, match="loner may not read the group loners"):
        await subscriber.start()
    assert not subscriber.assigned
    await subscriber.stop()


async def test_what_it_may_it_does(kafka: Kafka) -> None:
    worker = kafka.add_user("worker")
    kafka.allow("worker", ResourceType.TOPIC, TOPIC, AclOperation.READ, AclOperation.WRITE)
    kafka.allow("worker", ResourceType.GROUP, "workers", AclOperation.READ)
    settings, had = KafkaSettings(**worker), asyncio.Event()
    seen: list[Record] = []

    async def handle(records: Sequence[Record]) -> None:
        seen.extend(records)
        had.set()

    async with an_admin(worker) as admin:
        cluster = await admin.cluster_id()
    producer, subscriber = KafkaProducer(settings), KafkaSubscriber(settings, "workers", [TOPIC], handle, 10)
    await producer.start(cluster)
    await subscriber.start()
    assert None not in await producer.send([Outgoing(TOPIC, b"key", {}, b"value")])
    async with asyncio.timeout(30):
        await had.wait()
    await subscriber.stop()
    await producer.stop()
    assert [record.value for record in seen] == [b"value"]
