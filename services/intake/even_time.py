"""Answers at even times: how long the work took would tell a sender whether somebody is known already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class EvenTime:
    """Lets work end at whole steps after it began."""

    def __init__(
        self,
        step_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`step_s`: seconds, longer than the work takes at most times; 0: end at once."""
        self._step = step_s
        self._clock = clock
        self._sleep = sleep

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Wait after the work until the next step; after an error not."""
        begun = self._clock()
        yield
        if self._step:
            await self._sleep(self._step - (self._clock() - begun) % self._step)
