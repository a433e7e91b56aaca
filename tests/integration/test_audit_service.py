"""The audit as it runs: of two processes one adds to the trail, and the other takes over when that one is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

import httpx
from aiokafka import AIOKafkaProducer
from hulpketen_contracts import CATALOGUE, TOPICS

from services.chassis.pipeline.model import Record
from tests.conftest import Infrastructure, variables
from tests.integration.audit import Database, a_database, a_person, ids, record, trail

POLL_S = 0.05


def environment(infrastructure: Infrastructure, database: str, port: int, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HTTP_PORT": str(port),
        **variables(infrastructure.settings),
        "MONGO_URI": infrastructure.mongo,
        "MONGO_DATABASE": database,
        "AUTH_ISSUER": "http://issuer.test",
        "AUTH_AUDIENCE": "audit",
        "KEYS_FILE": str(folder / "keys.json"),
        "PIPELINE_LEASE_S": "1.5",
    }


async def started(infrastructure: Infrastructure, database: str, folder: Path) -> Process:
    """A process of the audit that says it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.audit", env=environment(infrastructure, database, port, folder)
    )
    try:
        await until_ready(process, port)
    except BaseException:
        process.kill()
        raise
    return process


async def until_ready(process: Process, port: int) -> None:
    """Until it says so. Raises TimeoutError, AssertionError."""
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False) as client:
        while True:
            assert process.returncode is None
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(POLL_S)


async def send(producer: AIOKafkaProducer, records: Sequence[Record]) -> None:
    for each in records:
        await producer.send(each.topic, each.value, key=each.key, headers=list(each.headers))
    await producer.flush()


async def until_in_the_trail(database: Database, wanted: Sequence[str]) -> None:
    async with asyncio.timeout(40):
        while await database["entries"].count_documents({"eventId": {"$in": list(wanted)}}) < len(wanted):
            await asyncio.sleep(POLL_S)


async def writing_pid(database: Database) -> tuple[int, int]:
    """The process that holds the writer's lease, and its fencing number."""
    lease = await database["leases"].find_one({"_id": "writer"})
    assert lease
    return int(lease["holder"].rpartition("-")[2]), int(lease["fence"])


async def test_one_process_writes_and_the_other_takes_over_from_a_killed_one(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    followed = [name for name, topic in TOPICS.items() if "audit" in topic.consumers]
    types = [name for name, event in CATALOGUE.items() if event.TOPIC in followed]
    records = [record(a_person(), types[n % len(types)]) for n in range(600)]
    bad = Record("cases", 0, 0, b"key", b"{}", (("x", b"y"),))
    producer = AIOKafkaProducer(**stack_infra.client)
    async with a_database(stack_infra) as database:
        processes = [await started(stack_infra, database.name, tmp_path) for _ in range(2)]
        await producer.start()
        try:
            await send(producer, [*records[:300], bad])
            await until_in_the_trail(database, ids(records[:300]))
            pid, fence = await writing_pid(database)
            os.kill(pid, signal.SIGKILL)
            await send(producer, records[290:])
            await until_in_the_trail(database, ids(records))
            other, raised = await writing_pid(database)
            assert {pid, other} == {process.pid for process in processes}
            assert raised > fence
        finally:
            await producer.stop()
            for process in processes:
                if process.returncode is None:
                    process.terminate()
            codes = {process.pid: await asyncio.wait_for(process.wait(), 20) for process in processes}
        assert codes[pid] == -signal.SIGKILL
        assert codes[other] in (0, -signal.SIGTERM)
        entries = await trail(database)
        assert [e["_id"] for e in entries] == list(range(len(entries)))
        assert len({e["eventId"] for e in entries}) == len(entries)
        assert await database["dead_letters"].count_documents({"reason": "not-an-event"}) >= 1
