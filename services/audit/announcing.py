"""Every partner hears how far the trail is signed: the newest checkpoint goes out by the service's outbox."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence

from services.audit import metrics
from services.audit.domain.announcement import STREAM, Signed, announce, announced
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command
from services.chassis.pipeline.ports import Store

Newest = Callable[[], Awaitable[Signed | None]]
Prove = Callable[[int, int], Awaitable[Sequence[bytes]]]
"""(from, to): the consistency proof between the trees of these sizes."""


class Announcer:
    """Call `look` again and again. An announcement that is made again is the same event, and readers drop it."""

    def __init__(self, store: Store, engine: Engine, newest: Newest, prove: Prove) -> None:
        self._store = store
        self._engine = engine
        self._newest = newest
        self._prove = prove

    async def look(self) -> None:
        """Announce the newest checkpoint where the trail grew since the last. Raises StoreUnavailable."""
        signed = await self._newest()
        if signed is None:
            return
        known = (await self._store.load([STREAM])).get(STREAM)
        before = announced(known["state"] if known else None, signed.origin)
        metrics.announced.set(before)
        if signed.size <= before:
            return
        proof = [b64encode(held).decode() for held in await self._prove(before, signed.size)] if before else []
        cause = f"checkpoint|{signed.origin}|{signed.size}"
        await self._engine.execute(Command(STREAM, lambda state, _: announce(state, signed, before, proof), cause))
        metrics.announced.set(signed.size)
