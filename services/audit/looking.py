"""Who looked at whom: each access is joined with the lines of its look, and held against the rules."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from hulpketen_contracts import (
    CATALOGUE,
    AccessLogged,
    CaseState,
    Event,
    OrganisationChanged,
    ProcessingLogged,
    ReferralState,
    SignalReceived,
)

from services.audit.access_store import AT_ONCE, AccessStore
from services.audit.contents import Contents
from services.audit.domain.entry import Document, said
from services.audit.domain.unusual import Finding, Seen, World, unusual
from services.audit.organisations import Organisations
from services.audit.settings import UnusualSettings
from services.audit.working_hours import working


class TooManyLooks(Exception):
    """More than are looked through at once."""


class Found(NamedTuple):
    """What is unusual among so many `looks`; `forgotten`: of how many more it is no longer kept, or cannot be read, who
    looked."""

    looks: int
    forgotten: int
    findings: list[Finding]


class UnusualAccess:
    """Looks through the access log. What is no event of its contract counts for nothing."""

    def __init__(
        self, store: AccessStore, contents: Contents, organisations: Organisations, settings: UnusualSettings
    ) -> None:
        self._store = store
        self._contents = contents
        self._organisations = organisations
        self._settings = settings

    async def find(self, since: datetime, until: datetime) -> Found:
        """What is unusual in this time. Raises TooManyLooks, StoreUnavailable."""
        own = self._settings
        count = await self._store.count(since, until, own.looks + 1)
        if count > own.looks:
            raise TooManyLooks
        looks: list[Seen] = []
        async for entries in self._store.accesses(since, until):
            looks += await self._seen(entries)
        roots = await self._store.roots({person for look in looks for person in look.persons})
        looks = [look._replace(persons={roots.get(person, person) for person in look.persons}) for look in looks]
        persons = {person for look in looks for person in look.persons}
        known = await self._own(sorted(persons), since - timedelta(days=own.people_days), until)
        world = World(own.limits(), known, partial(working, opens=own.opens, closes=own.closes))
        # In a thread: this process may hold the lease of the writer, and has it to renew.
        return Found(len(looks), count - len(looks), await asyncio.to_thread(unusual, looks, world))

    async def _seen(self, entries: Sequence[Document]) -> list[Seen]:
        """The looks of these accesses, but for those that are no longer kept."""
        accesses: list[tuple[Document, AccessLogged]] = []
        for entry, content in zip(entries, await self._contents.open(entries), strict=True):
            if content and (access := said(AccessLogged, content.data)):
                accesses.append((entry, access))
        persons = await self._persons({bytes.fromhex(access.trace_id) for _, access in accesses})
        return [
            Seen(
                entry["_id"],
                entry["at"],
                access.service,
                access.organisation,
                access.employee,
                persons.get((access.trace_id, access.span_id), ()),
            )
            for entry, access in accesses
        ]

    async def _persons(self, traces: Collection[bytes]) -> dict[tuple[str, str | None], set[str]]:
        """Who was looked at, by trace and span of the look. A list shows no more than a status, and counts for none."""
        found: dict[tuple[str, str | None], set[str]] = defaultdict(set)
        async for entries in self._store.lines(traces):
            for content in await self._contents.open(entries):
                line = said(ProcessingLogged, content.data) if content else None
                if line and line.subject and not line.name.startswith("list-"):
                    for span in (line.span_id, line.parent_span_id):
                        found[line.trace_id, span].add(line.subject)
        return found

    async def _own(self, persons: Sequence[str], since: datetime, until: datetime) -> set[tuple[str, str]]:
        """(organisation, person) of whom an organisation had to do with in this time."""
        municipalities = _municipalities(await self._organisations.known())
        known: set[tuple[str, str]] = set()
        for start in range(0, len(persons), AT_ONCE):
            part = persons[start : start + AT_ONCE]
            merged = await self._store.merged(part)
            async for entries in self._store.of_persons([*part, *merged], since, until):
                for entry, content in zip(entries, await self._contents.open(entries), strict=True):
                    if content and (event := said(CATALOGUE[entry["type"]], content.data)):
                        person = entry["about"]["person"]
                        known |= {(each, merged.get(person, person)) for each in _parties(event, municipalities)}
        return known


def _municipalities(organisations: Mapping[str, OrganisationChanged]) -> dict[str, set[str]]:
    """The organisations of each municipality that are the municipality itself."""
    found: dict[str, set[str]] = defaultdict(set)
    for organisation in organisations.values():
        for municipality in organisation.municipalities if organisation.kind == "municipality" else ():
            found[municipality].add(organisation.organisation)
    return found


def _parties(event: Event, municipalities: Mapping[str, set[str]]) -> set[str]:
    """The organisations that have to do with a person by this referral, signal or case."""
    if isinstance(event, ReferralState):
        return {event.from_organisation, event.to_organisation}
    if isinstance(event, SignalReceived):
        return {event.sender}
    return municipalities.get(event.municipality, set()) if isinstance(event, CaseState) else set()
