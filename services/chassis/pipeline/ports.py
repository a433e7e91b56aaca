"""What the pipeline needs of the world. Real: ../mongo/ and ../kafka.py. In memory, with faults: tests/simulation."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from hulpketen_contracts import Position

from services.chassis.pipeline.model import Ack, DeadLetter, Outgoing, Parked

Document = dict[str, Any]


class Write(NamedTuple):
    """A whole document, to be written only where its stored version still is `expected` (0: there is none)."""

    document: Document
    expected: int


class Cleared(NamedTuple):
    """Of the outbox of `aggregate` all up to `seq` was published; `whole`: that was all of it at version `v`."""

    aggregate: str
    v: int
    seq: int
    whole: bool


class Kept(NamedTuple):
    """Published records, held for a broker that loses its log."""

    id: Any
    records: Sequence[Outgoing]


class Store(Protocol):
    """The service's own database. Every method raises StoreUnavailable when it does not answer."""

    async def load(self, ids: Collection[str]) -> dict[str, Document]:
        """The aggregates with these ids, by id."""

    async def write(self, writes: Sequence[Write]) -> list[bool | Exception]:
        """One bulk. For each: True; False where another was first; an exception where the database refuses it."""

    async def clear(self, cleared: Sequence[Cleared]) -> None:
        """Take what was published out of the outboxes; versions stay as they are."""

    async def due(self, before: datetime, limit: int) -> list[Document]:
        """Aggregates whose outbox has waited since before `before`."""

    async def waiting(self) -> int:
        """How many aggregates have something in their outbox."""

    async def keep(self, records: Sequence[tuple[Outgoing, Ack]], incarnation: str) -> None:
        """Hold what was published; reference data: the latest per key."""

    async def kept_elsewhere(self, incarnation: str, limit: int) -> list[Kept]:
        """What was kept and not yet published on this incarnation of the broker, oldest first."""

    async def mark_kept(self, id: Any, acks: Sequence[Ack], incarnation: str) -> None:
        """What was kept under `id` is on this incarnation now, at these offsets; not what took its place since."""

    async def park(self, group: str, parked: Sequence[Parked]) -> None:
        """Hold records that came before their turn; again is harmless."""

    async def parked(self, group: str, streams: Collection[str]) -> list[Parked]:
        """What is parked of these streams."""

    async def parked_before(self, group: str, before: datetime) -> list[tuple[str, str]]:
        """Aggregates and streams of which a record has been parked since before then."""

    async def unpark(self, group: str, positions: Collection[Position]) -> None:
        """These have been applied, or were seen before."""

    async def bury(self, group: str, incarnation: str, letters: Sequence[DeadLetter]) -> None:
        """Hold records that could not be applied; again is harmless."""

    async def skipped(self, group: str, streams: Collection[str]) -> set[Position]:
        """Positions of these streams that operations decided to pass over."""


class Broker(Protocol):
    """Kafka, or what speaks its protocol."""

    async def send(self, records: Sequence[Outgoing]) -> list[Ack | None]:
        """All in flight together; None for each that the broker did not acknowledge in time."""


class Line(NamedTuple):
    """A line of a feed: one event for one reader."""

    event_id: str
    record: Outgoing


class FeedStore(Protocol):
    """Numbered feeds: for each reader lines 1, 2, 3 …, each event once."""

    async def last(self, reader: str) -> int:
        """The highest number of this reader's feed; 0 where it is empty."""

    async def append(self, reader: str, first: int, lines: Sequence[Line]) -> int:
        """Insert in order from number `first`; stop at a number or an event that is there. How many went in."""

    async def append_to_each(self, numbers: Mapping[str, int], line: Line) -> Collection[str]:
        """Insert one line in the feeds of many readers, each at its number. The readers for whom it went in."""

    async def known(self, reader: str, event_ids: Collection[str]) -> set[str]:
        """Which of these events the feed holds already."""


class Publisher(Protocol):
    """The way out of an outbox."""

    async def publish(self, documents: Sequence[Document]) -> None:
        """Publish the whole outbox of each, in its order; what is not acknowledged stays in it for the relay."""
