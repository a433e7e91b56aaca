"""Looks at what goes out: the lists that were shown, and which lines of a feed went to whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.chassis.auth import Principal
from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.processing_log import Looks

log = get_logger(__name__)
ACTIVITY = "inform-partners"


class FeedLooks:
    """Writes them. Methods raise StoreUnavailable: then show nothing.

    Lines about a feed have no subject: feeds have no pseudonyms, but the ids of cases and referrals.
    """

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self.clock = looks.clock

    async def shown(self, name: str, by: Principal, persons: Sequence[str], started: datetime) -> None:
        """Views of the files of these persons are about to be shown."""
        await self._looks.record(ACTIVITY, by, persons, name=name, started=started)

    async def delivered(self, organisation: str, first: int, last: int) -> None:
        """These lines of its feed are about to be sent to the organisation's topic."""
        await self._looks.record(ACTIVITY, organisation, name="deliver-lines", feed=(first, last))

    async def opened(self, by: Principal, first: int, started: datetime) -> None:
        """A stream opens, and gives the organisation its feed from this number on."""
        await self._looks.record(ACTIVITY, by, name="open-stream", started=started, feed=(first, None))

    async def closed(self, by: Principal, first: int, last: int, started: datetime) -> None:
        """It has ended, and gave these lines; none where the last is before the first. Raises nothing.

        Who looked was written down when it opened.
        """
        numbers = (first, last) if last >= first else (None, None)
        try:
            await self._looks.record(ACTIVITY, by.organisation, name="close-stream", started=started, feed=numbers)
        except StoreUnavailable as error:
            log.warning("end_of_stream_not_logged", organisation=by.organisation, error=error)
