"""Who reads: the organisation of a request, as the directory has it."""

# No `from __future__ import annotations`: the dependency below is annotated with what stands in a closure.
import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from services.chassis.auth import Principal, requires
from services.chassis.problems import Problem
from services.notifications.domain.directory import Directory
from services.notifications.store import NotificationsStore

# A new organisation reaches matching's directory a moment before it reaches this service.
_WAIT_S, _LOOK_EVERY_S = 3.0, 0.1


class Reader(NamedTuple):
    """An organisation and its feed. A municipality sees the whole of its files. `by`: who asks for it."""

    organisation: str
    feed: str
    whole_file: bool
    by: Principal


class Readers:
    """Finds the reader that a principal stands for."""

    def __init__(self, store: NotificationsStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    async def of(self, principal: Principal) -> Reader:
        """The reader. Raises Problem 403 where the directory does not have the organisation; waits a moment for it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _WAIT_S
        while True:
            found = await self._store.organisation(self._directory, principal.organisation)
            if found is not None and found.feed is not None:
                return Reader(found.id, found.feed, found.municipality is not None, principal)
            if found is not None or loop.time() >= until:
                raise Problem(403, "The directory does not have your organisation.", type="unknown-organisation")
            await asyncio.sleep(_LOOK_EVERY_S)

    def requires(self, *scopes: str) -> Any:
        """A dependency: the reader of a principal with these scopes."""
        allowed: Callable[..., Awaitable[Principal]] = requires(*scopes)

        async def dependency(_: Request, principal: Annotated[Principal, Depends(allowed)]) -> Reader:
            return await self.of(principal)

        return Depends(dependency)
