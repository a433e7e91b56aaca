"""A bare chain to compare with: the same hops and Kafka records, one bulk upsert a hop, aiokafka and PyMongo alone.

Each hop is a process of its own: see hop.py.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pymongo import AsyncMongoClient, UpdateOne

from cli.bench.records import case_records

BATCH = 500
SIGNALS, CASES = "bench-signals", "bench-cases"
DATABASE = "bench_bare"


async def hop_cases(kafka: str, mongo: str, group: str) -> None:
    """What matching does: for each signal one upsert, and the records of an opened case."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()

    async def follow(records: Sequence[Any]) -> None:
        sends = [m for _ in records for m in case_records()]
        await asyncio.gather(*[await producer.send(CASES, m.value, key=m.key, headers=m.headers) for m in sends])

    await _consume((kafka, mongo, group), SIGNALS, "cases", follow)


async def hop_feed(kafka: str, mongo: str, group: str) -> None:
    """What notifications does: for each record one upsert, the line of the feed."""

    async def nothing(_: Sequence[Any]) -> None:
        return None

    await _consume((kafka, mongo, group), CASES, "feed", nothing)


Follow = Callable[[Sequence[Any]], Awaitable[None]]


async def _consume(where: tuple[str, str, str], topic: str, collection: str, follow: Follow) -> None:
    kafka, mongo, group = where
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo)
    target = client[DATABASE][collection]
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=1000,
        heartbeat_interval_ms=200,
    )
    await consumer.start()
    while True:
        found = await consumer.getmany(timeout_ms=10, max_records=BATCH)
        records = [record for part in found.values() for record in part]
        if not records:
            continue
        upserts = [UpdateOne({"_id": str(uuid.uuid4())}, {"$set": {"value": r.value}}, upsert=True) for r in records]
        await target.bulk_write(upserts, ordered=False)
        await follow(records)
        await consumer.commit()


HOPS = {"cases": hop_cases, "feed": hop_feed}
