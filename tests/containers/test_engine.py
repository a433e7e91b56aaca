"""What the other tests with containers build on: sign-in, rights, and a log that outlives its broker."""

from __future__ import annotations

import uuid

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import AclOperation, NewTopic, ResourceType
from pymongo import MongoClient

from tests.containers.engine import Kafka, Mongo


def producer(kafka: Kafka, user: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap,
        enable_idempotence=True,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=user,
        sasl_plain_password=kafka.password(user),
    )


async def test_a_user_may_do_what_it_was_allowed_and_nothing_else(kafka: Kafka) -> None:
    mine, other = (f"topic-{uuid.uuid4().hex[:8]}" for _ in range(2))
    for done in kafka.admin.create_topics([NewTopic(name, 1, 1) for name in (mine, other)]).values():
        done.result()
    user = f"user-{uuid.uuid4().hex[:8]}"
    kafka.add_user(user)
    kafka.allow(user, ResourceType.TOPIC, mine, AclOperation.WRITE)

    async with producer(kafka, user) as sending:
        assert (await sending.send_and_wait(mine, b"value")).offset == 0
        with pytest.raises(TopicAuthorizationFailedError):
            await sending.send_and_wait(other, b"value")


def test_a_killed_node_comes_back_with_its_log() -> None:
    with Kafka() as kafka:
        (made,) = kafka.admin.create_topics([NewTopic("kept", 3, 1)]).values()
        made.result()
        kafka.kill()
        kafka.start()
        kafka.wait_ready()
        assert len(kafka.admin.list_topics(timeout=10).topics["kept"].partitions) == 3


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
