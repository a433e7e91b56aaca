"""The loops of a service, apart from what drives them: a batch until it is safe, and the work of the relay's holder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.model import Record

log = get_logger(__name__)
Handle = Callable[[Sequence[Record]], Awaitable[object]]
Sleep = Callable[[float], Awaitable[object]]
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Work(Protocol):
    """Work in portions."""

    async def run_once(self) -> int:
        """Do one portion; 0 when nothing is left, or nothing can be done now."""


class BatchLoop:
    """Hands a batch over until it is safe."""

    def __init__(self, handle: Handle, sleep: Sleep = asyncio.sleep) -> None:
        self._handle = handle
        self._sleep = sleep
        self._waits = log.waits("batch_waits", "batch_failed")
        self.healthy = False

    async def until_safe(self, records: Sequence[Record]) -> None:
        """The same batch again, with backoff, until the database has it: nothing is committed before."""
        attempt = 0
        while True:
            try:
                await self._handle(records)
            except StoreUnavailable as error:
                self._waits.say(error=error, records=len(records))
            except Exception as error:  # noqa: BLE001 - a batch is never given up: the next would be committed past it
                self._waits.say(error=error, failed=True, records=len(records))
            else:
                self._waits.over()
                self.healthy = True
                return
            self.healthy = attempt < 2
            await self._sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1


async def work_under(lease: Lease, works: Sequence[Work]) -> None:
    """Do each work until nothing is left of it, as long as the lease is ours."""
    if await lease.held():
        for work in works:
            while await work.run_once() and await lease.held():
                pass
