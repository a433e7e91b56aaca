"""Looks at persons: each is a line of the processing log before the answer goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from services.chassis.mongo.processing_log import ProcessingLog
from services.chassis.processing_log import Look, look_lines

# Activities of intake that are no event's own: slugs in the register of processing activities.
Activity = Literal[
    "look-at-person",
    "look-at-signal",
    "release-contact",
    "keep-safe-contact",
    "compare-persons",
    "link-household",
    "keep-choice",
]


class Looks:
    """Writes the lines of intake."""

    def __init__(self, log: ProcessingLog, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._clock = clock

    async def record(self, activity: Activity, organisation: str | None, subjects: Sequence[str]) -> None:
        """One action on these persons; a majority has its lines when this returns. Raises StoreUnavailable: stop."""
        at = self._clock()
        await self._log.record(look_lines(Look(activity, activity, organisation, subjects, at, at), "intake"))
