"""Lines of the processing log for what goes out: the lists that were shown, and which lines of a feed went to whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from hulpketen_contracts import ProcessingLogged

from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.processing_log import Look, look_lines

log = get_logger(__name__)
ACTIVITY = "inform-partners"
Record = Callable[[Sequence[ProcessingLogged]], Awaitable[None]]


class Looks:
    """Writes them. Methods raise StoreUnavailable: then show nothing."""

    def __init__(self, record: Record, clock: Callable[[], datetime]) -> None:
        self._record = record
        self.clock = clock

    async def shown(self, name: str, organisation: str, persons: Sequence[str], started: datetime) -> None:
        """Views of the files of these persons are about to be shown."""
        look = Look(name, ACTIVITY, organisation, persons, started, self.clock())
        await self._record(look_lines(look, "notifications"))

    async def delivered(self, organisation: str, first: int, last: int) -> None:
        """These lines of its feed are about to be sent to the organisation's topic."""
        await self._lines("deliver-lines", organisation, self.clock(), first, last)

    async def opened(self, organisation: str, first: int, started: datetime) -> None:
        """A stream opens, and gives the organisation its feed from this number on."""
        await self._lines("open-stream", organisation, started, first, None)

    async def closed(self, organisation: str, first: int, last: int, started: datetime) -> None:
        """It has ended, and gave these lines; none where the last is before the first. Raises nothing."""
        numbers = (first, last) if last >= first else (None, None)
        try:
            await self._lines("close-stream", organisation, started, *numbers)
        except StoreUnavailable as error:
            log.warning("end_of_stream_not_logged", organisation=organisation, error=error)

    async def _lines(
        self, name: str, organisation: str, started: datetime, first: int | None, last: int | None
    ) -> None:
        """A line without a subject: feeds have no pseudonyms, but the ids of cases and referrals."""
        look = Look(name, ACTIVITY, organisation, (), started, self.clock())
        numbers = {"feed_first": first, "feed_last": last}
        await self._record([line.model_copy(update=numbers) for line in look_lines(look, "notifications")])
