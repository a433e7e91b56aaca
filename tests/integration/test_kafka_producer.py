"""A producer whose numbers the broker no longer takes gives way to another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import OutOfOrderSequenceNumber

from services.chassis.kafka import KafkaProducer
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.pipeline.model import Outgoing
from services.chassis.settings import KafkaSettings
from tests.conftest import Infrastructure

RECORD = Outgoing("producer-test", b"key", {}, b"value")


async def test_it_is_no_longer_on_the_cluster_and_the_next_one_sends(
    stack_infra: Infrastructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = KafkaSettings.model_validate(stack_infra.settings)
    admin, producer = KafkaAdmin(settings), KafkaProducer(settings)

    async def refused(*_: Any, **__: Any) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.set_exception(OutOfOrderSequenceNumber())
        return answer

    try:
        cluster = await admin.cluster_id()
        await admin.make_topics([RECORD.topic])
        await producer.start(cluster)
        with monkeypatch.context() as patched:
            patched.setattr(AIOKafkaProducer, "send", refused)
            assert await producer.send([RECORD]) == [None]
        assert producer.cluster == ""  # BrokerWatch starts one where it is not that of the broker
        await producer.start(cluster)
        assert None not in await producer.send([RECORD])
    finally:
        await producer.stop()
        await admin.close()
