"""Residents: the code that lets them in, and what was done with their data, as they are shown it."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from hulpketen_contracts import CaseOpened, OrganisationChanged

from services.audit.contents import Contents
from services.audit.domain.entry import Document, said
from services.audit.domain.lines import LINE_TYPES
from services.audit.domain.register import Activity, Register, Texts
from services.audit.domain.search import LinesAsked
from services.audit.organisations import Organisations
from services.audit.resident_store import ResidentStore
from services.audit.store import TrailStore
from services.chassis.keys import fingerprint

PER_PAGE = 100
TRIES_A_MINUTE = 60_000
# Read aloud without doubt: no I and 1, no O and 0. Twelve of these are 60 bits.
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE = re.compile(f"[{_ALPHABET}]{{12}}")
ACTIVITY = "view-own-data"


class TooManyTries(Exception):
    """More codes are entered than people do."""


class Done(NamedTuple):
    """Something that was done. `by`: the name of the organisation, None for the chain itself, or who is shown it."""

    at: datetime
    by: str | None
    by_resident: bool
    what: Texts
    activity: Activity


class Page(NamedTuple):
    """What was done, the newest first. `further`: whether there is more."""

    done: list[Done]
    further: bool


class Doors:
    """Codes and sessions. In real life a resident signs in with DigiD: that takes the place of the code."""

    def __init__(
        self,
        store: ResidentStore,
        key: Callable[[], bytes],
        clock: Callable[[], datetime],
        code_for: timedelta,
        session_for: timedelta,
    ) -> None:
        """`key` is that of the hashes of codes; a code and a session count for so long."""
        self._store = store
        self._key = key
        self._clock = clock
        self._code_for = code_for
        self.session_for = session_for

    async def give(self, person: str) -> tuple[str, datetime]:
        """A code for this person, in the place of an earlier one, and until when it counts."""
        code = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        until = self._clock() + self._code_for
        await self._store.put_code(self._hash(code), person, until)
        return "-".join((code[:4], code[4:8], code[8:])), until

    async def enter(self, entered: str) -> str | None:
        """Let in who has a code: the cookie of a session, None where the code does not count. Raises TooManyTries."""
        code, now = re.sub(r"[\s-]", "", entered).upper(), self._clock()
        if not _CODE.fullmatch(code):
            return None
        if await self._store.try_again(f"{now:%Y-%m-%dT%H:%M}", now + timedelta(minutes=2)) > TRIES_A_MINUTE:
            raise TooManyTries
        person = await self._store.take_code(self._hash(code), now)
        if person is None:
            return None
        cookie = secrets.token_urlsafe(32)
        await self._store.begin(fingerprint(cookie), person, now + self.session_for)
        return cookie

    async def who(self, cookie: str | None) -> str | None:
        """Whose session a cookie is."""
        return await self._store.person(fingerprint(cookie), self._clock()) if cookie else None

    async def leave(self, cookie: str | None) -> None:
        """End the session."""
        if cookie:
            await self._store.end(fingerprint(cookie))

    def _hash(self, code: str) -> str:
        return hmac.digest(self._key(), code.encode(), "sha256").hex()


class OwnData:
    """Reads of the trail what concerns one resident."""

    def __init__(self, store: TrailStore, contents: Contents, register: Register, organisations: Organisations) -> None:
        self._store = store
        self._contents = contents
        self._register = register
        self._organisations = organisations

    async def person_of(self, case: str, municipalities: Collection[str]) -> str | None:
        """Whom a case of one of these municipalities is about; None for any other case, and where it was erased."""
        entries = await self._store.opened(case, CaseOpened.TYPE)
        for content in await self._contents.open(entries):
            case_opened = said(CaseOpened, content.data) if content else None
            if case_opened and case_opened.municipality in municipalities:
                return case_opened.person
        return None

    async def everybody(self, person: str) -> list[str]:
        """All pseudonyms that stand for this resident; none after an erasure."""
        everybody = await self._store.with_aliases({await self._store.root(person)})
        return [] if everybody & await self._store.erased_of(everybody) else sorted(everybody)

    async def done(self, persons: Collection[str], page: int) -> Page:
        """A page (from 1) of what was done with the data of these."""
        asked = LinesAsked(persons=frozenset(persons))
        skipped = (page - 1) * PER_PAGE
        entries = await self._store.lines(asked, LINE_TYPES, PER_PAGE + 1, newest_first=True, skip=skipped)
        organisations = await self._organisations.known()
        done = [_done(entry, self._register.of(entry["activity"]), organisations) for entry in entries[:PER_PAGE]]
        return Page(done, len(entries) > PER_PAGE)


def _done(entry: Document, activity: Activity, organisations: Mapping[str, OrganisationChanged]) -> Done:
    organisation = entry["organisation"]
    by = organisations[organisation].name if organisation in organisations else organisation
    return Done(entry["at"], by, entry["activity"] == ACTIVITY, activity.done(entry["type"]), activity)
