"""Which broker this is: one that came back with another cluster id has lost its log, topics included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class IncarnationStore(Protocol):
    """Where a service remembers the broker that it published to."""

    async def incarnation(self) -> str:
        """The cluster id as last seen; empty at first."""

    async def set_incarnation(self, cluster_id: str) -> None:
        """Remember it."""


class Incarnation:
    """Knows the broker's present cluster id, and tells when it becomes another."""

    def __init__(self, store: IncarnationStore, ask: Callable[[], Awaitable[str]]) -> None:
        self._store = store
        self._ask = ask
        self._known = ""

    def known(self) -> str:
        """The cluster id as this process knows it: what kept records are marked with before they are sent."""
        return self._known

    async def check(self) -> bool:
        """Ask the broker; True when it is another than this process knew. Raises when the broker is away."""
        current = await self._ask()
        if current == self._known:
            return False
        if current != await self._store.incarnation():
            await self._store.set_incarnation(current)
        self._known = current
        return True
