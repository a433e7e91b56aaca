"""Every partner hears how far the trail is signed: the newest checkpoint goes out by the service's outbox."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from services.audit import metrics
from services.audit.domain.announcement import STREAM, Signed, announce, announced
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command
from services.chassis.pipeline.ports import Store

Newest = Callable[[], Awaitable[Signed | None]]
Prove = Callable[[int, int], Awaitable[Sequence[bytes]]]
"""(from, to): the consistency proof between the trees of these sizes."""


class Announcer:
    """Call `look` again and again, often: it announces at most every so long, and tries a failed one again at the next
    look. An announcement that is made again is the same event, and readers drop it."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        newest: Newest,
        prove: Prove,
        *,
        clock: Callable[[], datetime],
        every: timedelta,
    ) -> None:
        self._store = store
        self._engine = engine
        self._newest = newest
        self._prove = prove
        self._clock = clock
        self._every = every
        self._at = datetime.min.replace(tzinfo=UTC)

    async def look(self) -> None:
        """Announce the newest checkpoint, where it is time and the trail grew. Raises StoreUnavailable, TrailError."""
        if self._clock() - self._at < self._every:
            return
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
        self._at = self._clock()
        metrics.announced.set(signed.size)
