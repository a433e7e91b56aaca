"""What the other tests with containers build on: sign-in, rights, and a log that outlives its broker."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import AclOperation, ResourceType
from pymongo import MongoClient

from tests.containers.engine import Kafka, Mongo


async def test_a_user_may_do_what_it_was_allowed_and_nothing_else(kafka: Kafka) -> None:
    mine, other = (f"topic-{uuid.uuid4().hex[:8]}" for _ in range(2))
    kafka.make_topics(mine, other)
    user = f"user-{uuid.uuid4().hex[:8]}"
    kafka.add_user(user)
    kafka.allow(user, ResourceType.TOPIC, mine, AclOperation.WRITE)

    async with AIOKafkaProducer(**kafka.client(user), enable_idempotence=True) as sending:
        assert (await sending.send_and_wait(mine, b"value")).topic == mine
        with pytest.raises(TopicAuthorizationFailedError):
            await sending.send_and_wait(other, b"value")


async def test_a_killed_node_comes_back_with_its_log() -> None:
    with Kafka() as kafka:
        kafka.make_topics("kept")
        async with AIOKafkaProducer(**kafka.client("admin")) as sending:
            await sending.send_and_wait("kept", b"value")
        kafka.kill()
        kafka.start()
        kafka.wait_ready()
        async with AIOKafkaConsumer("kept", **kafka.client("admin"), auto_offset_reset="earliest") as reading:
            async with asyncio.timeout(60):
                assert (await reading.getone()).value == b"value"


def test_a_killed_database_comes_back_with_what_it_had(mongo: Mongo) -> None:
    client: MongoClient[dict[str, object]] = MongoClient(mongo.uri)
    try:
        client["kept"]["things"].insert_one({"_id": 1})
        mongo.kill()
        mongo.start()
        mongo.wait_ready()
        assert client["kept"]["things"].find_one() == {"_id": 1}
    finally:
        client.close()
