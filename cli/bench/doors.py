"""How fast signals come in: one by one over HTTP, and as a delivery."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from cli.bench.records import MUNICIPALITY
from deploy.local.stack import LocalStack

SENDER = "woonborg-voorbeeld"
AT_ONCE = 32
LETTERS = "ABCDEFGHJKLMNPRTUVWXZ"


def made_up_signals(count: int) -> Iterator[dict[str, Any]]:
    """Signals about people who do not exist, each at an address of their own, with a birth date and a surname."""
    day = datetime.now(UTC).date() - timedelta(days=1)
    for n in range(count):
        letters = random.choice(LETTERS) + random.choice(LETTERS)
        yield {
            "reference": f"bench-{uuid.uuid4()}",
            "municipality": MUNICIPALITY,
            "partnerType": "Huur",
            "amount": random.randint(100, 2_000),
            "arisenOn": str(day - timedelta(days=60)),
            "signalledOn": str(day),
            "client": {
                "postcode": f"{random.randint(1000, 9999)}{letters}",
                "houseNumber": n % 900 + 1,
                "birthDate": str(day - timedelta(days=random.randint(7_000, 25_000))),
                "surname": f"Voorbeeld{n}",
            },
        }


async def send_signals(stack: LocalStack, client: httpx.AsyncClient, count: int) -> float:
    """POST signals, a few at a time. Signals per second; raises where one is not taken."""
    headers = {"Authorization": f"Bearer {stack.token('sender', SENDER)}"}
    url = f"{stack.addresses['intake']}/v1/signals"
    signals = made_up_signals(count)

    async def sender() -> None:
        for signal in signals:
            (await client.post(url, json=signal, headers=headers)).raise_for_status()

    begun = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - begun)


async def deliver(stack: LocalStack, client: httpx.AsyncClient, count: int) -> float:
    """POST one delivery of `count` lines. Lines per second; raises where a line is refused."""
    lines = [json.dumps(signal).encode() + b"\n" for signal in made_up_signals(count)]

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, count, 500):
            yield b"".join(lines[start : start + 500])

    headers = {
        "Authorization": f"Bearer {stack.token('sender', SENDER)}",
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    begun = time.perf_counter()
    url = f"{stack.addresses['intake']}/v1/deliveries"
    answer = (await client.post(url, content=body(), headers=headers, timeout=300)).raise_for_status().json()
    if answer["taken"] != count:
        raise RuntimeError(f"of {count} lines {answer['taken']} were taken: {answer['refused'][:1]}")
    return count / (time.perf_counter() - begun)
