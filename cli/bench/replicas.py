"""The benchmark `replicas`: what more processes of the services in the middle of the chain add on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer
from pymongo import AsyncMongoClient

from cli.bench.chain import Say, chain_rate
from cli.bench.doors import deliver
from deploy.local import ports
from deploy.local.stack import LocalStack

SERVICES = ("matching", "notifications")
"""Who stands between a signal and its lines in a feed; of the audit one process writes at a time."""
_READY_S = 60
_SILENCE_MS = 2_000


async def measure(counts: Sequence[int], signals: int, lines: int, say: Say) -> dict[str, Any]:
    """Signals a second with so many processes of each of SERVICES, each on a stack of its own, and what a signal
    takes up: {"eventsPerS": {count: n}, "bytesPerSignal": {database or "kafka": n}}. 5 % of traces are kept."""
    rates: dict[str, int] = {}
    sizes: dict[str, int] = {}
    partitions = {"KAFKA_PARTITIONS": str(max(2, *counts))}
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="hulpketen-bench-") as folder:
            env = dict.fromkeys(ports.SERVICES, partitions)
            async with LocalStack(Path(folder), sample=True, env=env) as stack, _more(stack, count - 1):
                say(f"{count} of each of {' and '.join(SERVICES)} …")
                rates[str(count)] = round(await chain_rate(stack, signals, every=20))
                say(f"{rates[str(count)]:,} events/s")
                if not sizes:
                    say("what a signal takes up …")
                    sizes = await _sizes(stack, lines)
    return {"eventsPerS": rates, "bytesPerSignal": sizes}


@asynccontextmanager
async def _more(stack: LocalStack, count: int) -> AsyncIterator[None]:
    """So many processes more of each service, ready."""
    base = ports.free_base()
    running = []
    try:
        for name in SERVICES:
            for _ in range(count):
                program = stack.process(name).program
                port, base = base, base + 1
                env = {**program.env, "HTTP_PORT": str(port)}
                command = list(program.command())
                running.append(await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.DEVNULL))
                await _ready(port)
        yield
    finally:
        for process in running:
            process.terminate()
            await process.wait()


async def _ready(port: int) -> None:
    async with asyncio.timeout(_READY_S), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with suppress(httpx.HTTPError):
                if (await client.get(f"http://{ports.HOST}:{port}/readyz")).is_success:
                    return
            await asyncio.sleep(0.1)


async def _sizes(stack: LocalStack, lines: int) -> dict[str, int]:
    """Bytes of a signal that came in a delivery and is a case with proposals: in each database with its indexes, as
    MongoDB holds it before it compresses, and in all topics together."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(stack.addresses["mongo"])
    try:
        # What is sent is counted first: it waits until no more comes.
        sent, stored = await _sent(stack.addresses["kafka"]), await _stored(client)
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            await deliver(stack, http, lines)
        sent, before = await _sent(stack.addresses["kafka"]) - sent, stored
        after = await _stored(client)
    finally:
        await client.close()
    return {name: round((size - before[name]) / lines) for name, size in after.items()} | {"kafka": round(sent / lines)}


async def _stored(client: AsyncMongoClient[dict[str, Any]]) -> Mapping[str, int]:
    found = {name: await client[f"hulpketen_{name}"].command("dbStats") for name in ports.SERVICES}
    return {name: int(stats["dataSize"] + stats["indexSize"]) for name, stats in found.items()}


async def _sent(kafka: str) -> int:
    """Bytes of all records on all topics, once no more come."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.subscribe(pattern="^(signals|cases|directory|processing-log|partners[.].*)$")
    await consumer.start()
    size = 0
    try:
        while found := await consumer.getmany(timeout_ms=_SILENCE_MS):
            for records in found.values():
                size += sum(len(r.key or b"") + len(r.value or b"") + _headers(r.headers) for r in records)
    finally:
        await consumer.stop()
    return size


def _headers(headers: Sequence[tuple[str, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
