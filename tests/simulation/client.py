"""The world outside: clients that ask again, under the same idempotency key, until they have an answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.chassis.pipeline.errors import Erased, KeyReused
from services.chassis.pipeline.model import Command, Decide, IdempotencyKey
from tests.simulation.process import Process, Reply
from tests.simulation.scheduler import sleep


@dataclass
class Request:
    """Something that somebody wants done once."""

    service: str
    aggregate: str
    label: str
    decide: Decide
    start: float
    answers: list[Any] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    done: bool = False

    def command(self, digest: str = "same") -> Command:
        key = IdempotencyKey("organisation", self.label, digest)
        return Command(self.aggregate, self.decide, key=key)


Find = Callable[[str], Process | None]


async def ask_for(requests: list[Request], find: Find, rng: random.Random) -> None:
    """Send requests of one service in one call, again and again until they are answered; then sometimes once more."""
    await sleep(requests[0].start)
    await _until_answered(requests, find)
    if rng.random() < 0.3:
        await sleep(rng.random())
        await _until_answered(requests, find)
    if rng.random() < 0.1:
        await _ask_otherwise(requests[0], find)
    for request in requests:
        request.done = True


async def _until_answered(requests: list[Request], find: Find) -> None:
    while True:
        reply = await _call(requests, find)
        if reply and reply.error is None:
            for request, value in zip(requests, reply.value, strict=True):
                request.answers.append("erased" if isinstance(value, Erased) else value)
            return
        await sleep(0.2)


async def _ask_otherwise(request: Request, find: Find) -> None:
    """The same key for another content is refused."""
    process = find(request.service)
    reply = process.call([request.command("other")]) if process else None
    while process and process.alive and reply and not reply.done:
        await sleep(0.03)
    if reply and reply.value and not isinstance(reply.value[0], KeyReused | Erased):
        request.wrong.append(f"{request.label}: another content under its key got {reply.value[0]!r}")


async def _call(requests: list[Request], find: Find) -> Reply | None:
    process = find(requests[0].service)
    if process is None:
        return None
    reply = process.call([request.command() for request in requests])
    while not reply.done and process.alive:
        await sleep(0.03)
    return reply if reply.done else None
