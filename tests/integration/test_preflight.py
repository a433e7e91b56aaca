"""A service whose surroundings are wrong says so in one line, is not ready, and goes on once they are right."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from deploy.local import binaries, ports
from deploy.local.services import Elsewhere
from deploy.local.stack import LocalStack
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.preflight import DatabaseCheck, NotReady
from services.chassis.service import Service, now
from services.matching.main import build
from tests.conftest import Infrastructure
from tests.integration.matching import settings
from tests.integration.surroundings import ready
from tests.logs import said


@pytest.mark.embedded("it needs a broker without topics, and makes them")
async def test_topics_that_are_missing_are_named_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A broker of its own: on the others the topics are made already.
    async with LocalStack(tmp_path, run=()) as stack:
        chosen = settings(_Around(stack.addresses["kafka"], stack.addresses["mongo"]), tmp_path, _name())
        kafka = chosen.kafka.model_copy(update={"make_topics": False, "partitions": 2})
        runtime: Service = build(chosen.model_copy(update={"kafka": kafka})).state.runtime
        caplog.set_level("INFO", "services")
        await runtime.start()
        async with asyncio.timeout(30):
            while not said(caplog, "not_ready"):
                await asyncio.sleep(0.05)
        assert runtime.checks() == {"database": True, "broker": False, "consumer": False}
        line = said(caplog, "not_ready")[0]
        assert "topic cases" in line["what"] or "topic signals" in line["what"]
        assert "hulpketen topics apply" in line["todo"]
        admin = KafkaAdmin(kafka)
        await admin.make_topics(["signals", "cases", "directory", "processing-log", "checkpoints"])
        await admin.close()
        await ready(runtime)
        await runtime.stop()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a mongod that is no replica set."""
    port = ports.free_base()
    command = [str(binaries.mongod()), "--dbpath", str(tmp_path), "--port", str(port), "--bind_ip", ports.HOST]
    process = await asyncio.create_subprocess_exec(*command, "--nounixsocket", stdout=subprocess.DEVNULL)
    address = f"mongodb://{ports.HOST}:{port}"
    try:
        async with AsyncMongoClient[dict[str, object]](address, serverSelectionTimeoutMS=30_000) as client:
            await client.admin.command("ping")
        yield address
    finally:
        process.kill()
        await process.wait()


async def test_a_database_that_is_no_replica_set_is_said(alone: str, tmp_path: Path) -> None:
    runtime = _service(alone, tmp_path)
    with pytest.raises(NotReady, match="no replica set"):
        await DatabaseCheck(runtime.client, runtime.database, now).look()
    await runtime.stop()


async def test_a_database_that_is_as_it_should_be_passes(stack_infra: Infrastructure, tmp_path: Path) -> None:
    runtime = _service(stack_infra.mongo, tmp_path)
    await DatabaseCheck(runtime.client, runtime.database, now).look()
    await runtime.stop()


@dataclass
class _Around:
    kafka: str
    mongo: str

    @property
    def settings(self) -> dict[str, Any]:
        return {"bootstrap": self.kafka, "session_timeout_ms": 1000, "heartbeat_interval_ms": 200, "idempotent": False}

    @property
    def client(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.kafka}

    def elsewhere(self) -> Elsewhere | None:
        return None

    def kill(self, name: str) -> None:
        raise AssertionError(name)


def _name() -> str:
    return f"preflight_{uuid.uuid4().hex[:12]}"


def _service(address: str, folder: Path) -> Service:
    runtime: Service = build(settings(_Around("127.0.0.1:1", address), folder, _name())).state.runtime
    return runtime
