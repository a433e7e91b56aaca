"""Kafka in: every event of the chain becomes an entry of the trail, once."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime

from hulpketen_contracts import DecodeError, peek

from services.audit import metrics
from services.audit.domain.entry import ERASED_TYPE, NONCE_BYTES, Document, Entry, leaf, read
from services.audit.store import AnotherWrites, TrailStore
from services.chassis.pipeline.errors import LeaseLost, StoreUnavailable
from services.chassis.pipeline.model import DeadLetter, Record

Bury = Callable[[Sequence[DeadLetter]], Awaitable[None]]
Clock = Callable[[], datetime]
Random = Callable[[int], bytes]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Writer:
    """Adds to the trail, as the one process that does.

    It holds in memory where the trail goes on and who was erased. After any failure it forgets both and reads them
    again: whether an insert that was not answered went in is then seen from the trail itself.
    """

    def __init__(
        self, store: TrailStore, bury: Bury, *, clock: Clock = now, random: Random = secrets.token_bytes
    ) -> None:
        self._store = store
        self._bury = bury
        self._clock = clock
        self._random = random
        self._next: int | None = None
        self._erased: set[str] = set()

    async def handle(self, records: Sequence[Record]) -> list[DeadLetter]:
        """Add what is new of a batch; when it returns all of it is in the trail or with the dead letters.

        Raises: StoreUnavailable, LeaseLost or TrailBroken; then nothing may be committed.
        """
        entries, letters = take(records)
        try:
            if letters:
                await self._bury(letters)
            if entries:
                self._show_lag(entries[0])
                await self._add(entries)
                self._show_lag(entries[-1])
        except AnotherWrites as error:
            self._next = None
            raise LeaseLost(str(error)) from error
        except BaseException:
            self._next = None
            raise
        return letters

    def step_down(self) -> None:
        """Another writes from now on: what this process knows of the trail is no longer so."""
        self._next = None

    async def _add(self, entries: Sequence[Entry]) -> None:
        if self._next is None:
            self._erased = await self._store.erased()
            self._next = await self._store.next_index()
        merged = {(e.person, e.merged_into) for e in entries if e.person and e.merged_into}
        if merged:
            await self._store.alias(merged)
        erased = {e.person for e in entries if e.type == ERASED_TYPE and e.person}
        if erased:
            erased = await self._store.with_aliases(erased)
            self._erased |= erased
        await self._append({entry.event_id: entry for entry in entries}, self._next)
        if erased:
            await self._store.erase(erased, self._clock())

    async def _append(self, fresh: dict[str, Entry], index: int) -> None:
        """Insert first and ask later: nearly every batch is new, so that its one insert is all the database does."""
        while fresh:
            inserted = await self._store.append(list(self._leaves(list(fresh.values()), index)))
            index += inserted
            self._next = index
            metrics.entries.inc(inserted)
            if inserted == len(fresh):
                return
            known = await self._store.known(fresh)
            if len(known) <= inserted:
                raise StoreUnavailable("a majority does not have an entry yet that the trail has")
            fresh = {event_id: entry for event_id, entry in fresh.items() if event_id not in known}

    def _leaves(self, entries: Sequence[Entry], index: int) -> Iterator[Document]:
        nonces = self._random(NONCE_BYTES * len(entries))
        for n, entry in enumerate(entries):
            nonce = nonces[n * NONCE_BYTES : (n + 1) * NONCE_BYTES]
            yield leaf(entry, index + n, nonce, erased=entry.person in self._erased)

    def _show_lag(self, entry: Entry) -> None:
        metrics.lag.set(max(0.0, (self._clock() - entry.at).total_seconds()))


def take(records: Sequence[Record]) -> tuple[list[Entry], list[DeadLetter]]:
    """The entries of a batch, in its order, and the records that are no events."""
    entries: list[Entry] = []
    letters: list[DeadLetter] = []
    for record in records:
        try:
            entries.append(read(record.headers, record.value))
        except DecodeError as error:
            letters.append(DeadLetter(record, peek(record.headers), error.reason, error.detail))
    return entries, letters
