"""The embedded broker and database: there, found again after kill -9, and never weaker than a majority."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import AsyncMongoClient

from tests.conftest import Embedded

pytestmark = pytest.mark.embedded("its own broker and database")


async def cluster_id(kafka: str) -> str:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        return str((await client.describe_cluster())["cluster_id"])
    finally:
        await client.close()


async def test_a_killed_database_comes_back_with_what_a_majority_had(stack_infra: Embedded) -> None:
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(stack_infra.mongo)
    things = client["local_test"]["things"]
    await things.insert_one({"_id": 1})
    before = stack_infra.stack.process("database").pid
    stack_infra.kill("database")
    assert await things.find_one({"_id": 1}) == {"_id": 1}
    assert stack_infra.stack.process("database").pid != before
    assert client.write_concern.document == {"w": "majority", "j": True}
    await client.close()


async def test_a_killed_broker_comes_back_as_another(stack_infra: Embedded) -> None:
    before = await cluster_id(stack_infra.kafka)
    starts = stack_infra.stack.process("broker").starts
    stack_infra.kill("broker")
    async with asyncio.timeout(5):
        while stack_infra.stack.process("broker").starts == starts:
            await asyncio.sleep(0.01)
    await stack_infra.stack.process("broker").wait_ready(5)
    assert await cluster_id(stack_infra.kafka) != before


async def test_the_databases_log_tells_nothing_of_a_slow_command(stack_infra: Embedded) -> None:
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(stack_infra.mongo)
    await client["local_test"]["slow"].insert_one({"_id": 1})
    slow = {"_id": 1, "name": {"$ne": "a-pseudonym"}, "$where": "sleep(200) || true"}
    assert await client["local_test"]["slow"].find_one(slow)
    await client.close()
    written = await asyncio.to_thread(stack_infra.stack.process("database").program.log.read_text)
    assert "a-pseudonym" not in written
