"""A deterministic scheduler: it drives coroutines by hand, one step at a time, in an order that a seed decides."""

from __future__ import annotations

import heapq
import itertools
import random
import types
from collections.abc import Coroutine, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

TICK_S = 0.002
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Let others go first; works under asyncio as well."""
    yield


@types.coroutine
def sleep(seconds: float) -> Generator[float, None, None]:
    """Go on after about so many seconds of the scheduler's own time."""
    yield seconds


class Task:
    """A coroutine, and the process that it dies with (None: the world outside)."""

    __slots__ = ("coro", "name", "owner")

    def __init__(self, name: str, coro: Coroutine[Any, Any, object], owner: object) -> None:
        self.name = name
        self.coro = coro
        self.owner = owner


class Scheduler:
    """Steps tasks. `stall` is the chance that a task, at a step, is held up for as much as `stall_s` seconds."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ready: list[Task] = []
        self._sleeping: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self.time = 0.0
        self.steps = 0
        self.stall = 0.0
        self.stall_s = 2.0
        self.crashes: list[str] = []

    def now(self) -> datetime:
        """The time, to the millisecond."""
        return EPOCH + timedelta(milliseconds=int(self.time * 1000))

    def spawn(self, name: str, coro: Coroutine[Any, Any, object], owner: object = None) -> None:
        """Have it run among the others."""
        self._ready.append(Task(name, coro, owner))

    def kill(self, owner: object) -> None:
        """kill -9: the coroutines of this process are dropped where they stand."""
        dead = [t for t in self._ready if t.owner is owner] + [t for _, _, t in self._sleeping if t.owner is owner]
        self._ready = [t for t in self._ready if t.owner is not owner]
        self._sleeping = [entry for entry in self._sleeping if entry[2].owner is not owner]
        heapq.heapify(self._sleeping)
        for task in dead:
            task.coro.close()

    def close(self) -> None:
        """Drop everything."""
        for task in [*self._ready, *(task for _, _, task in self._sleeping)]:
            task.coro.close()

    def names(self, owner: object) -> list[str]:
        """The tasks of a process."""
        tasks = [*self._ready, *(task for _, _, task in self._sleeping)]
        return [task.name for task in tasks if task.owner is owner]

    def step(self) -> None:
        """One step of one task; where all sleep, time goes on to the first that wakes."""
        self.time += TICK_S
        self.steps += 1
        sleeping, ready = self._sleeping, self._ready
        if not ready and sleeping:
            self.time = max(self.time, sleeping[0][0])
        while sleeping and sleeping[0][0] <= self.time:
            ready.append(heapq.heappop(sleeping)[2])
        at = int(self._rng.random() * len(ready))
        task = ready[at]
        ready[at] = ready[-1]
        ready.pop()
        try:
            seconds = task.coro.send(None)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - whatever ends a loop is a failure of the run
            self.crashes.append(f"{task.name} ended: {error!r}")
            return
        if seconds is not None:
            self._put_to_sleep(task, seconds * (0.5 + self._rng.random()))
        elif self.stall and self._rng.random() < self.stall:
            self._put_to_sleep(task, self.stall_s * self._rng.random())
        else:
            ready.append(task)

    def _put_to_sleep(self, task: Task, seconds: float) -> None:
        heapq.heappush(self._sleeping, (self.time + seconds, next(self._order), task))
