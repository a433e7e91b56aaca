"""A lease: at most one process at a time does what it names, and a fencing number that rises with each holder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol


class LeaseStore(Protocol):
    """Where leases stand."""

    async def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> int | None:
        """Take or renew the lease where it is free, past its time, or ours. Its fencing number, or None."""

    async def release(self, name: str, holder: str) -> None:
        """Give it back, where it is ours."""


class Lease:
    """One name, one would-be holder. Call `held()` before each piece of work: it renews when a third has passed."""

    def __init__(
        self, store: LeaseStore, name: str, holder: str, *, clock: Callable[[], datetime], ttl: timedelta
    ) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._clock = clock
        self._ttl = ttl
        self._renew_at: datetime | None = None
        self.fence: int | None = None

    async def held(self) -> bool:
        """Whether the lease is ours now; takes it where it is free."""
        now = self._clock()
        if self.fence is not None and self._renew_at and now < self._renew_at:
            return True
        self.fence = await self._store.acquire(self._name, self._holder, now, now + self._ttl)
        self._renew_at = now + self._ttl / 3
        return self.fence is not None

    async def release(self) -> None:
        """Let another take it at once."""
        if self.fence is not None:
            self.fence = None
            await self._store.release(self._name, self._holder)
