"""What is asked of the trail's entries to see who looks at whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hulpketen_contracts import (
    AccessLogged,
    CaseOpened,
    CaseUpdated,
    HelpStarted,
    ProcessingLogged,
    ReferralAccepted,
    ReferralMade,
    ReferralWaitlisted,
    SignalReceived,
)

from services.audit.aliases import Aliases
from services.audit.domain.entry import ACCESSES, Document
from services.chassis.mongo.database import Database, available

AT_ONCE = 500
# A check of the whole trail reads all of it, a bundle at a time, and shows nobody.
_CHECKS = "check-audit-trail"
# What makes a person one whom an organisation has to do with.
_REFERRALS = (ReferralMade, ReferralAccepted, ReferralWaitlisted, HelpStarted)
OF_PERSON = [event.TYPE for event in (*_REFERRALS, CaseOpened, CaseUpdated, SignalReceived)]


class AccessStore:
    """Reads entries of the trail by whom and what they are about. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._entries = database["entries"]
        self._aliases = Aliases(database)
        self._keys = database["person_keys"]

    async def count(self, since: datetime, until: datetime, most: int) -> int:
        """How many looks of employees there were in this time; not counted further than `most`."""
        async with available():
            return await self._entries.count_documents(_accesses(since, until), limit=most)

    async def accesses(self, since: datetime, until: datetime) -> AsyncIterator[list[Document]]:
        """Those looks in the order of time, some at a time."""
        found = self._entries.find(_accesses(since, until)).sort([("at", 1), ("_id", 1)])
        async for entries in _some_at_a_time(found):
            yield entries

    async def lines(self, traces: Collection[bytes]) -> AsyncIterator[list[Document]]:
        """The lines of the processing log of these traces, some at a time."""
        query = {"about.trace": {"$in": list(traces)}, "type": ProcessingLogged.TYPE}
        async for entries in _some_at_a_time(self._entries.find(query)):
            yield entries

    async def of_persons(
        self, persons: Sequence[str], since: datetime, until: datetime
    ) -> AsyncIterator[list[Document]]:
        """The referrals, cases and signals of these persons in this time, some at a time."""
        query = {"about.person": {"$in": list(persons)}, "type": {"$in": OF_PERSON}}
        async for entries in _some_at_a_time(self._entries.find(query | {"at": {"$gte": since, "$lte": until}})):
            yield entries

    async def roots(self, persons: Collection[str]) -> dict[str, str]:
        """Who was merged into another, and who that is now, after all mergers."""
        return await self._aliases.roots(persons)

    async def merged(self, persons: Collection[str]) -> dict[str, str]:
        """Who was merged into one of these persons, and into whom."""
        return await self._aliases.merged(persons)

    async def forget(self, before: datetime) -> int:
        """Take away who looked on days before that of this time: content, trace and key. How many days there were.

        The leaves stay. What comes late of such a day has a new key, which goes the next time.
        """
        midnight = before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        async with available():
            keys = {"_id": {"$gte": ACCESSES, "$lt": f"{ACCESSES}{midnight:%Y-%m-%d}"}}
            days = [key["_id"] async for key in self._keys.find(keys, {"_id": 1})]
            for day in days:
                start = datetime.fromisoformat(day.removeprefix(ACCESSES)).replace(tzinfo=UTC)
                at = {"$gte": start, "$lt": start + timedelta(days=1)}
                await self._entries.update_many({"type": AccessLogged.TYPE, "at": at}, {"$unset": {"about": ""}})
                await self._keys.delete_one({"_id": day})
        return len(days)


async def _some_at_a_time(found: Any) -> AsyncIterator[list[Document]]:
    async with available():
        while entries := await found.to_list(AT_ONCE):
            yield entries


def _accesses(since: datetime, until: datetime) -> Document:
    return {"type": AccessLogged.TYPE, "at": {"$gte": since, "$lte": until}, "activity": {"$ne": _CHECKS}}
