"""Kafka in: every event of the chain becomes an entry of the trail, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from hulpketen_contracts import DecodeError, PersonErased, peek

from services.audit import metrics
from services.audit.contents import SubjectKey, SubjectKeys
from services.audit.domain.entry import Document, Entry, found_again, leaf, read
from services.audit.store import AnotherWrites, TrailBroken, TrailStore
from services.chassis.pipeline.errors import LeaseLost, StoreUnavailable
from services.chassis.pipeline.model import DeadLetter, Record
from services.chassis.telemetry import RecordSpan, start_record_span

PIECE = 1_000
"""How many records of a batch are added at once."""

Bury = Callable[[Sequence[DeadLetter]], Awaitable[None]]
Clock = Callable[[], datetime]


class WriterLease(Protocol):
    """The lease of the one that writes; `fence` is another number each time that it changed hands."""

    fence: int | None

    async def held(self) -> bool: ...


class Taken(NamedTuple):
    """A batch, read: its entries in order with their records, the records that are no events, and the spans of sampled
    traces."""

    entries: list[Entry]
    records: list[Record]
    letters: list[DeadLetter]
    spans: list[RecordSpan]


class Piece(NamedTuple):
    """Part of a batch, ready to be added: its entries, their records and documents, without a number yet, by event."""

    entries: dict[str, Entry]
    records: dict[str, Record]
    leaves: dict[str, Document]
    erased: set[str]


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


async def _none() -> int:
    return 0


def take(records: Sequence[Record]) -> Taken:
    """Read a batch."""
    taken = Taken([], [], [], [])
    known: dict[str, Entry] = {}
    for record in records:
        try:
            entry = read(record.headers, record.value, record.topic)
        except DecodeError as error:
            taken.letters.append(DeadLetter(record, peek(record.headers), error.reason, error.detail))
            continue
        if known.setdefault(entry.event_id, entry).content != entry.content:
            taken.letters.append(_id_taken(record))
            continue
        taken.entries.append(entry)
        taken.records.append(record)
        if entry.traceparent and entry.traceparent.endswith("1"):
            span = start_record_span(entry.traceparent, record.topic, entry.event_id, entry.type, None, "audit")
            taken.spans.append(span)
    return taken


def _id_taken(record: Record) -> DeadLetter:
    return DeadLetter(record, peek(record.headers), "bad-headers", "another event has this ce_id")


def _another(stored: Document, entry: Entry) -> bool:
    """Whether the entry with the id of this event is of another one: whoever sent that kept this out."""
    return (stored["type"], stored["source"]) != (entry.type, entry.source)


class Writer:
    """Adds to the trail, as the one process that does.

    It holds in memory where the trail goes on and who was erased. After any failure, and when the lease has changed
    hands, it reads both again: whether an insert that was not answered went in is then seen from the trail itself.
    """

    def __init__(
        self,
        store: TrailStore,
        lease: WriterLease,
        bury: Bury,
        keys: SubjectKeys,
        *,
        clock: Clock = now,
        reach: Callable[[], Awaitable[int]] = _none,
        added: Callable[[int, Sequence[Document]], None] = lambda start, entries: None,
    ) -> None:
        """`reach` gives how many entries were signed; `added` is told what a majority has, from which number on."""
        self._store = store
        self._lease = lease
        self._bury = bury
        self._clock = clock
        self._keys = keys
        self._reach = reach
        self._added = added
        self._next = 0
        self._fence: int | None = None  # the number under which the rest was read; None: read it again
        self._erased: set[str] = set()
        self._at_work = False  # on a batch, or it failed and is to come again
        self._one_at_a_time = asyncio.Lock()  # a replay of a dead letter comes beside the batches

    async def handle(self, records: Sequence[Record]) -> list[DeadLetter]:
        """Add what is new of a batch; when it returns all of it is in the trail or with the dead letters.

        Raises: StoreUnavailable, LeaseLost or TrailBroken; then nothing may be committed.
        """
        async with self._one_at_a_time:
            return await self._add(records)

    def show_rest(self) -> None:
        """Where nothing is to be added, nothing lags."""
        if not self._at_work:
            metrics.lag.set(0)

    async def _add(self, records: Sequence[Record]) -> list[DeadLetter]:
        all_taken = Taken([], [], [], [])
        failed: str | None = "not-added"
        self._at_work = True
        try:
            await self._take_over()
            await self._go_through(records, all_taken)
            failed = None
        except BaseException as error:
            self._fence = None
            if isinstance(error, AnotherWrites):
                raise LeaseLost(str(error)) from error
            raise
        finally:
            for span in all_taken.spans:
                span.end(failed)
        self._at_work = False
        return all_taken.letters

    async def _go_through(self, records: Sequence[Record], all_taken: Taken) -> None:
        """A piece at a time: while the database has one, the next is made ready."""
        adding: asyncio.Task[None] | None = None
        try:
            for start in range(0, len(records), PIECE):
                piece = await self._ready(records[start : start + PIECE], all_taken)
                if adding:
                    await adding
                adding = asyncio.create_task(self._write(piece))
            if adding:
                await adding
        except BaseException:
            if adding and not adding.done():
                adding.cancel()
                await asyncio.gather(adding, return_exceptions=True)
            raise

    async def _ready(self, records: Sequence[Record], all_taken: Taken) -> Piece:
        taken = take(records)
        all_taken.letters.extend(taken.letters)
        all_taken.spans.extend(taken.spans)
        if taken.letters:
            await self._bury(taken.letters)
        if taken.entries:
            self._show_lag(taken.entries[0])
        erased = await self._gone(taken.entries)
        entries = {entry.event_id: entry for entry in taken.entries}
        keys = await self._keys_of(list(entries.values()))
        leaves = {entry.event_id: leaf(entry, key) for entry, key in zip(entries.values(), keys, strict=True)}
        by_event = {entry.event_id: record for entry, record in zip(taken.entries, taken.records, strict=True)}
        return Piece(entries, by_event, leaves, erased)

    async def _gone(self, entries: Sequence[Entry]) -> set[str]:
        """Who is erased with these: whom they say, and who was merged into one that is, whichever is told first."""
        merged = {(e.person, e.merged_into) for e in entries if e.merged_into and e.person}
        if merged:
            await self._store.alias(merged)
        erased = {e.person for e in entries if e.type == PersonErased.TYPE and e.person}
        erased |= {person for person, into in merged if into in self._erased}
        if erased:
            erased = await self._store.with_aliases(erased)
            self._erased |= erased
        return erased

    async def _write(self, piece: Piece) -> None:
        await self._append(piece)
        if piece.erased:
            self._keys.drop(piece.erased)
            await self._store.erase(piece.erased, self._clock())
        for entry in list(piece.entries.values())[-1:]:
            self._show_lag(entry)

    async def _take_over(self) -> None:
        if not await self._lease.held():
            raise LeaseLost("another process holds the lease of the writer")
        if self._fence is None or self._fence != self._lease.fence:
            self._erased = await self._store.erased()
            # In this order: a former holder may add and sign meanwhile, and what is signed was added before.
            signed = await self._reach()
            self._next = await self._store.next_index()
            if self._next < signed:
                raise TrailBroken(f"{signed} entries were signed, and {self._next} are there")
            self._fence = self._lease.fence

    async def _append(self, piece: Piece) -> None:
        """Insert first and ask later: nearly every piece is new, so that its one insert is all the database does."""
        fresh = piece.leaves
        while fresh:
            numbered = [{"_id": n} | document for n, document in enumerate(fresh.values(), self._next)]
            inserted = await self._store.append(numbered)
            self._added(self._next, numbered[:inserted])
            self._next += inserted
            metrics.entries.inc(inserted)
            if inserted == len(fresh):
                return
            known = await self._store.known(fresh)
            if len(known) <= inserted:
                raise StoreUnavailable("a majority does not have an entry yet that the trail has")
            others = [event_id for event_id, stored in known.items() if _another(stored, piece.entries[event_id])]
            if others:
                await self._bury([_id_taken(piece.records[event_id]) for event_id in others])
            same = known.keys() - others
            await self._fill([(piece.entries[event_id], known[event_id]) for event_id in same])
            fresh = {event_id: document for event_id, document in fresh.items() if event_id not in known}

    async def _fill(self, known: Sequence[tuple[Entry, Document]]) -> None:
        """Give back their contents to entries that were rebuilt after a restore."""
        awaited = [(entry, stored) for entry, stored in known if stored.get("about", {}).get("awaited")]
        if awaited:
            keys = await self._keys_of([entry for entry, _ in awaited])
            pairs = zip(awaited, keys, strict=True)
            abouts = {at["_id"]: found_again(entry, at["commitment"], key) for (entry, at), key in pairs}
            await self._store.fill(abouts)

    async def _keys_of(self, entries: Sequence[Entry]) -> list[SubjectKey | None]:
        """The key of each; None where the person was erased."""
        holders = [entry.holder for entry in entries]
        keys = await self._keys.all({holder for holder in holders if holder and holder not in self._erased})
        nobody = self._keys.nobody()
        return [keys.get(holder) if holder else nobody for holder in holders]

    def _show_lag(self, entry: Entry) -> None:
        metrics.lag.set(max(0.0, (self._clock() - entry.at).total_seconds()))
