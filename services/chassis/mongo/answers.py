"""Answers to requests that change something beside the aggregates, by the client's own key: the same again gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index
from services.chassis.pipeline.errors import KeyReused
from services.chassis.pipeline.model import IdempotencyKey

INDEXES = (Index("answers", ("expires_at",), "MongoDB, which removes them", expires_s=0),)
Answer = dict[str, Any]
Work = Callable[[], Awaitable[Answer]]


class Answers:
    """Remembers the good answers of operations; what was refused may be tried again under the same key.

    The answer is stored after the work: where the process dies in between, the same request does it again.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], time: timedelta) -> None:
        self._answers = database["answers"]
        self._clock = clock
        self._time = time
        self._one_at_a_time = asyncio.Lock()

    async def once(self, key: IdempotencyKey | None, work: Work) -> Answer:
        """The answer of the work, done once for each key. Raises what it raised; KeyReused; StoreUnavailable."""
        if key is None:
            return await work()
        name = {"organisation": key.organisation, "key": key.key}
        async with self._one_at_a_time:
            if found := await self._found(name, key.digest):
                return found
            answer = await work()
            held = {"digest": key.digest, "answer": answer, "expires_at": self._clock() + self._time}
            if not await self._remember(name, held):
                answer = await self._found(name, key.digest) or answer
            return answer

    async def _found(self, name: dict[str, str], digest: str) -> Answer | None:
        async with available():
            found = await self._answers.find_one({"_id": name, "expires_at": {"$gt": self._clock()}})
        if found and found["digest"] != digest:
            raise KeyReused
        return dict(found["answer"]) if found else None

    async def _remember(self, name: dict[str, str], held: dict[str, Any]) -> bool:
        """False where another process was first."""
        mine = {"_id": name, "expires_at": {"$lte": self._clock()}}
        async with available():
            try:
                await self._answers.replace_one(mine, held, upsert=True)
            except DuplicateKeyError:
                return False
        return True
