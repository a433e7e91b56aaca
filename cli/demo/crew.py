"""Work that begins when an event comes in: how much is under way, and the first failure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Crew:
    """Runs tasks until it is closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._tasks

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let this go on beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this work, but stop at the first failure of any other. Raises what failed."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            (task if task.done() else self._failed).result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what is still under way."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._failed.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._closed or self._failed.done():
            return
        if task.cancelled():
            self._failed.set_exception(RuntimeError("work was cancelled that nobody wanted to end"))
        elif error := task.exception():
            self._failed.set_exception(error)
