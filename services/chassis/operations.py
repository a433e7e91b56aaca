"""What operations staff do by hand: look at dead letters, replay or skip them, publish again after a disaster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.chassis.logs import get_logger
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.consumer import WAITS
from services.chassis.pipeline.errors import PipelineError
from services.chassis.pipeline.model import DeadLetter, Record

log = get_logger(__name__)
_AGAIN = "It could not be applied this time either: mend its cause first, or skip it."
_EARLIER = "Its turn has not come: replay or skip first what stands before it in its stream."
LetThrough = Callable[[str, str], Awaitable[None]]
SHOWN = ("group", "topic", "partition", "offset", "stream", "epoch", "seq", "reason", "detail", "skipped", "at")


class Handle(Protocol):
    """Takes records; those that were not applied."""

    async def __call__(self, records: Sequence[Record]) -> list[DeadLetter]: ...


class StillDead(PipelineError):
    """Replayed, and it was not applied this time either; its text says what to do, and nothing of the record."""


class Operations:
    """The operations of one service."""

    def __init__(
        self, group: str, store: MongoStore, letters: DeadLetters, handle: Handle, let_through: LetThrough
    ) -> None:
        self._group = group
        self._store = store
        self._letters = letters
        self._handle = handle
        self._let_through = let_through

    async def list_dead_letters(self, limit: int, after: str | None) -> list[dict[str, Any]]:
        """Oldest first, at most `limit`, after the one with id `after`; reason and origin, never the bytes."""
        return [_shown(letter) for letter in await self._letters.page(limit, after)]

    async def show_dead_letter(self, id: str) -> dict[str, Any]:
        """One of them. Raises UnknownDeadLetter."""
        return _shown(await self._letters.show(id))

    async def replay(self, id: str) -> None:
        """Apply it now (its cause was mended), and what is parked behind it. Raises UnknownDeadLetter, StillDead."""
        still = await self._handle([await self._letters.record(id)])
        if still:
            raise StillDead(_EARLIER if still[0].reason == WAITS else _AGAIN)
        await self._letters.forget(id)
        log.info("dead_letter_replayed", dead_letter=id)

    async def skip(self, id: str, reason: str) -> None:
        """Pass over it for good, and let through what is parked behind it. Raises UnknownDeadLetter."""
        letter = await self._letters.skip(id, reason)
        stream = letter.get("stream")
        if stream:
            waiting = await self._store.parked(self._group, [stream])
            for aggregate in {parked.aggregate for parked in waiting}:
                await self._let_through(aggregate, stream)
        log.info("dead_letter_skipped", dead_letter=id)

    async def republish(self, since: datetime) -> int:
        """Have all that was published since then published again. How many batches of records that concerns."""
        return await self._store.mark_for_republishing(since)


def _shown(letter: dict[str, Any]) -> dict[str, Any]:
    return {"id": letter["_id"]} | {name: letter[name] for name in SHOWN if name in letter}
