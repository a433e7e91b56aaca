"""Who looked at whom: each access is joined with the lines of its look, and held against the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from services.audit.access_store import AT_ONCE, AccessStore
from services.audit.contents import Contents
from services.audit.domain.entry import Document
from services.audit.domain.unusual import Finding, Seen, World, unusual
from services.audit.settings import UnusualSettings
from services.audit.working_hours import working


class TooManyLooks(Exception):
    """More than are looked through at once."""


class UnusualAccess:
    """Looks through the access log."""

    def __init__(self, store: AccessStore, contents: Contents, settings: UnusualSettings) -> None:
        self._store = store
        self._contents = contents
        self._settings = settings

    async def find(self, since: datetime, until: datetime) -> tuple[int, list[Finding]]:
        """How many looks there were in this time, and what is unusual. Raises TooManyLooks, StoreUnavailable."""
        own = self._settings
        if await self._store.count(since, until, own.looks + 1) > own.looks:
            raise TooManyLooks
        looks: list[Seen] = []
        async for entries in self._store.accesses(since, until):
            looks += await self._seen(entries)
        persons = {person for look in looks for person in look.persons}
        known = await self._own(sorted(persons), since - timedelta(days=own.people_days), until)
        hours = partial(working, opens=own.opens, closes=own.closes)
        return len(looks), unusual(looks, World(own.limits(), known, hours))

    async def _seen(self, entries: Sequence[Document]) -> list[Seen]:
        """The looks of these accesses, but for those that are no longer kept."""
        contents = await self._contents.open(entries)
        accesses = [(entry, content.data) for entry, content in zip(entries, contents, strict=True) if content]
        persons = await self._persons({bytes.fromhex(data["traceId"]) for _, data in accesses})
        return [
            Seen(
                entry["_id"],
                entry["at"],
                data["service"],
                data["organisation"],
                data["employee"],
                persons.get((data["traceId"], data["spanId"]), ()),
            )
            for entry, data in accesses
        ]

    async def _persons(self, traces: Collection[bytes]) -> dict[tuple[str, str], set[str]]:
        """Who was looked at, by trace and span of the look. A list shows no more than a status, and counts for none."""
        lines = await self._store.lines(traces)
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for content in await self._contents.open(lines):
            if content and content.data.get("subject") and not content.data["name"].startswith("list-"):
                line = content.data
                for span in (line["spanId"], line.get("parentSpanId", "")):
                    found[line["traceId"], span].add(line["subject"])
        return found

    async def _own(self, persons: Sequence[str], since: datetime, until: datetime) -> set[tuple[str, str]]:
        """(organisation, person) of whom an organisation had to do with in this time."""
        municipalities = await self._municipalities(until)
        known: set[tuple[str, str]] = set()
        for start in range(0, len(persons), AT_ONCE):
            part = persons[start : start + AT_ONCE]
            merged = await self._store.merged(part)
            entries = await self._store.of_persons([*part, *merged], since, until)
            for entry, content in zip(entries, await self._contents.open(entries), strict=True):
                if content:
                    person = entry["about"]["person"]
                    known |= {(each, merged.get(person, person)) for each in _parties(content.data, municipalities)}
        return known

    async def _municipalities(self, until: datetime) -> dict[str, set[str]]:
        """The organisations of each municipality that are the municipality itself, as the directory last had them."""
        entries = await self._store.organisations(until)
        said = [content.data for content in await self._contents.open(entries) if content]
        latest = {data["organisation"]: data for data in said}
        found: dict[str, set[str]] = defaultdict(set)
        for organisation, data in latest.items():
            for municipality in data["municipalities"] if data["kind"] == "municipality" else ():
                found[municipality].add(organisation)
        return found


def _parties(data: Document, municipalities: dict[str, set[str]]) -> set[str]:
    """The organisations that have to do with a person by this referral, signal or case."""
    if "fromOrganisation" in data:
        return {data["fromOrganisation"], data["toOrganisation"]}
    if "sender" in data:
        return {data["sender"]}
    return municipalities.get(data["municipality"], set())
