"""The plain data of the pipeline: what a decision is, and what travels between its parts."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from hulpketen_contracts import Decoded, Event, Message, Position

State = dict[str, Any]
_NAMESPACE = uuid.UUID("6f1d6c5e-0d1c-5b43-9c0e-6f8a2f3b9d10").bytes


def name_id(name: str) -> str:
    """The UUIDv5 of a name in the pipeline's namespace; `uuid.uuid5` gives the same at six times the cost."""
    h = hashlib.sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:32]}"


@dataclass(frozen=True, slots=True)
class Emit:
    """An event that a decision makes; `topic` is given where the contract leaves it open: partners.<organisation>."""

    event: Event
    subject: str | None = None
    dataref: str | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The new state of an aggregate, the events that tell of it, and what the caller is answered (JSON-able)."""

    state: State
    events: Sequence[Emit] = ()
    answer: Any = None
    erase: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """The world of a decision: the time, and ids that come out the same when the decision is made again."""

    now: datetime
    cause: str

    def new_id(self, name: str) -> str:
        """A UUIDv5 of the cause and `name`, as text."""
        return name_id(f"{self.cause}|{name}")


Decide = Callable[[State | None, Context], Decision | None]


class Handler(NamedTuple):
    """How a service takes one type of event: which aggregate it feeds (None: not for us), and what follows from it.

    Every type of a stream that a service follows must be routed: the others would look like a gap. `begins`: before an
    event of this type, of which a stream has one, none is for the service: so it is the first, whatever its number.
    """

    route: Callable[[Decoded], str | None]
    decide: Callable[[State | None, Decoded, Context], Decision | None]
    begins: bool = False


Handlers = Mapping[type[Event], Handler]


class IdempotencyKey(NamedTuple):
    """A client's own name for a request; it counts within its organisation. `digest` is of the request's content."""

    organisation: str
    key: str
    digest: str


class Command(NamedTuple):
    """A decision about one aggregate that somebody asks for over HTTP.

    `key` makes it happen once, for as long as the aggregate remembers keys. Its events' ids come from `cause`, which
    is another one each time if none is given: a key that was forgotten must not lead to ids that were used before.
    """

    aggregate: str
    decide: Decide
    cause: str = ""
    key: IdempotencyKey | None = None


class Record(NamedTuple):
    """A record as it came from the broker, not yet read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Parked(NamedTuple):
    """A record that came before its turn, with the aggregate that it feeds."""

    position: Position
    aggregate: str
    record: Record


class DeadLetter(NamedTuple):
    """A record that could not be applied, and why. `position` is None where the stream could not be read."""

    record: Record
    position: Position | None
    reason: str
    detail: str


class Outgoing(NamedTuple):
    """A record to be published: an entry of an outbox, or of what was kept."""

    topic: str
    key: bytes
    headers: dict[str, bytes]
    value: bytes


def outbox_entry(seq: int, event_id: str, message: Message) -> dict[str, Any]:
    """An entry of an outbox: the whole record, so that it can be published by who did not make it."""
    return {
        "seq": seq,
        "id": event_id,
        "topic": message.topic,
        "key": message.key,
        "headers": dict(message.headers),
        "value": message.value,
    }


def outgoing(entry: Mapping[str, Any]) -> Outgoing:
    """The record in an entry of an outbox."""
    return Outgoing(entry["topic"], entry["key"], entry["headers"], entry["value"])


class Ack(NamedTuple):
    """Where the broker put a record."""

    partition: int
    offset: int
