"""Kafka beside the records, asked by many at once."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.settings import KafkaSettings
from tests.conftest import Infrastructure


async def test_those_who_ask_at_once_share_one_client(
    stack_infra: Infrastructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[AIOKafkaAdminClient] = []
    start = AIOKafkaAdminClient.start

    async def counted(client: AIOKafkaAdminClient) -> None:
        made.append(client)
        await start(client)

    monkeypatch.setattr(AIOKafkaAdminClient, "start", counted)
    admin = KafkaAdmin(KafkaSettings.model_validate(stack_infra.settings))
    try:
        assert len(set(await asyncio.gather(*(admin.cluster_id() for _ in range(5))))) == 1
        assert len(made) == 1
    finally:
        await admin.close()
