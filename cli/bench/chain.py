"""The benchmark `chain`: one stack, first the bare chain on it, then the project's own, then its doors."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hulpketen_contracts import Message
from pymongo import AsyncMongoClient

from cli.bench import bare
from cli.bench.doors import deliver, send_signals
from cli.bench.records import signal_records
from deploy.local.stack import LocalStack

LINES_A_SIGNAL = 2  # in the feed of the municipality: the case, and what is proposed
WARM_UP = 500
ROUND_S = 300
Say = Callable[[str], None]


async def measure(signals: int, lines: int, say: Say) -> dict[str, Any]:
    """All figures of `hulpketen bench chain`, by the names under which it prints them."""
    with tempfile.TemporaryDirectory(prefix="hulpketen-bench-") as folder:
        async with (
            LocalStack(Path(folder), sample=True) as stack,
            httpx.AsyncClient(timeout=60, trust_env=False) as client,
        ):
            say("the bare chain …")
            bare_rate = await _bare(stack, signals)
            say(f"{bare_rate:,.0f} events/s; the chain, with 5 % of traces …")
            own_rate = await chain_rate(stack, signals, every=20)
            say(f"{own_rate:,.0f} events/s; the chain, with every trace …")
            traced_rate = await chain_rate(stack, signals, every=1)
            say(f"{traced_rate:,.0f} events/s; signals over HTTP …")
            http_rate = await send_signals(stack, client, min(signals, 2_000))
            say(f"{http_rate:,.0f} signals/s; a delivery …")
            line_rate = await deliver(stack, client, lines)
            say(f"{line_rate:,.0f} lines/s")
            rss = {name: round(mb) for name, mb in stack.resident_mb().items()}
    return {
        "bareEventsPerS": round(bare_rate),
        "chainEventsPerS": round(own_rate),
        "ratio": round(own_rate / bare_rate, 3),
        "ratioEveryTrace": round(traced_rate / bare_rate, 3),
        "httpSignalsPerS": round(http_rate),
        "deliveryLinesPerS": round(line_rate),
        "rssMb": rss | {"total": sum(rss.values())},
    }


async def _bare(stack: LocalStack, signals: int) -> float:
    kafka, mongo = stack.addresses["kafka"], stack.addresses["mongo"]
    await _make_topics(kafka, [bare.SIGNALS, bare.CASES])
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo)
    feed = client[bare.DATABASE]["feed"]

    async def lines() -> int:
        return await feed.estimated_document_count()

    async with _hops(kafka, mongo):
        await _feed(kafka, bare.SIGNALS, list(signal_records(WARM_UP, every=20)))
        await until(lines, WARM_UP * LINES_A_SIGNAL)
        rate = await _timed(kafka, bare.SIGNALS, signals, 20, lines)
    await client.drop_database(bare.DATABASE)
    await client.close()
    await _drop_topics(kafka, [bare.SIGNALS, bare.CASES])
    return rate


async def chain_rate(stack: LocalStack, signals: int, every: int) -> float:
    """Signals a second from their topic to the feed; one in `every` (0: none) is of a sampled trace."""
    kafka, mongo = stack.addresses["kafka"], stack.addresses["mongo"]
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo)
    feed = client["hulpketen_notifications"]["feed"]

    async def lines() -> int:
        return await feed.estimated_document_count()

    before = await lines()
    await _feed(kafka, "signals", list(signal_records(WARM_UP, every)))
    await until(lines, before + WARM_UP * LINES_A_SIGNAL)
    rate = await _timed(kafka, "signals", signals, every, lines)
    await client.close()
    return rate


async def _timed(kafka: str, topic: str, signals: int, every: int, lines: Callable[[], Awaitable[int]]) -> float:
    """Feed signals, and wait until all lines that follow from them are there. Signals per second."""
    messages = list(signal_records(signals, every))
    target = await lines() + signals * LINES_A_SIGNAL
    begun = time.perf_counter()
    await _feed(kafka, topic, messages)
    await until(lines, target)
    return signals / (time.perf_counter() - begun)


async def _feed(kafka: str, topic: str, messages: Sequence[Message]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_batch_size=131072)
    await producer.start()
    try:
        futures = [await producer.send(topic, m.value, key=m.key, headers=m.headers) for m in messages]
        await asyncio.gather(*futures)
    finally:
        await producer.stop()


async def until(count: Callable[[], Awaitable[int]], target: int) -> None:
    """Until there are so many. Raises: TimeoutError after a time in which any round is done."""
    async with asyncio.timeout(ROUND_S):
        while await count() < target:
            await asyncio.sleep(0.05)


async def _make_topics(kafka: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1) for name in names])
    await admin.close()


async def _drop_topics(kafka: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics(list(names))
    await admin.close()


@asynccontextmanager
async def _hops(kafka: str, mongo: str) -> AsyncIterator[None]:
    """The two processes of the bare chain."""
    group = uuid.uuid4().hex
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "cli.bench.hop", hop, kafka, mongo, f"{hop}-{group}")
        for hop in bare.HOPS
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            await process.wait()
