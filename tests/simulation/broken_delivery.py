"""Writes, publishing, the loss of a broker and feeds, each with one rule broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.chassis.housekeeping import Housekeeper
from services.chassis.pipeline import publisher as publishing
from services.chassis.pipeline.draft import Outcome
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.feed import FeedPublisher
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.model import Ack, Outgoing, outgoing
from services.chassis.pipeline.ports import Cleared, Document, Line, Write
from services.chassis.pipeline.publisher import KafkaPublisher, clearing
from services.chassis.pipeline.relay import Republisher
from tests.simulation.memory_broker import MemoryProducer
from tests.simulation.memory_rest import MemoryFeeds
from tests.simulation.memory_store import MemoryStore, _copy, _kept, _offsets


async def nothing(*_: Any, **__: Any) -> int:
    return 0


# Writes


def write_any(self: MemoryStore, write: Write) -> bool:
    self.aggregates[write.document["_id"]] = _copy(write.document)
    return True


_take = Engine.take
_write = Engine._write


async def take_lost_races_as_won(self: Engine, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
    return {aggregate: result or True for aggregate, result in (await _write(self, outcomes)).items()}


# Publishing


async def take_own(self: Engine, groups: Any, **options: Any) -> list[Document]:
    return [document | {"outbox": document["outbox"][-1:]} for document in await _take(self, groups, **options)]


def any_acknowledged(results: Sequence[tuple[Outgoing, Ack | None]]) -> Iterator[tuple[Outgoing, Ack]]:
    return ((record, ack) for record, ack in results if ack is not None)


def publisher(*, clear_first: bool = False, incarnation_after: bool = False) -> Any:
    async def publish(self: KafkaPublisher, documents: Sequence[Document]) -> None:
        incarnation = self._incarnation()
        for document in documents:
            records = [outgoing(entry) for entry in document["outbox"]]
            kept = list(publishing._acknowledged(list(zip(records, await self._broker.send(records), strict=True))))
            if not kept:
                continue
            known = self._incarnation() if incarnation_after else incarnation
            if clear_first:
                await self._store.clear([clearing(document, len(kept))])
                await self._store.keep(kept, known)
            else:
                await self._store.keep(kept, known)
                await self._store.clear([clearing(document, len(kept))])

    return publish


def clear_all(self: MemoryStore, cleared: Cleared) -> None:
    self.aggregates[cleared.aggregate]["outbox"] = []
    self.aggregates[cleared.aggregate].pop("due", None)


# A broker that lost its log

_republish = Republisher.run_once


async def republish_once(self: Any, *_: Any) -> int:
    if getattr(self, "done", "") == self._incarnation():
        return 0
    incarnation = self._incarnation()
    left = await _republish(self)
    if not left:
        self.done = incarnation
    return left


async def republish_some(self: Republisher) -> int:
    incarnation = self._incarnation()
    for kept in await self._store.kept_elsewhere(incarnation, limit=10):
        acks = [ack or Ack(0, 0) for ack in await self._broker.send(kept.records)]
        await self._store.mark_kept(kept.id, acks, incarnation)
    return 0


async def mark_as_known_after(self: Republisher) -> int:
    for kept in await self._store.kept_elsewhere(self._incarnation(), limit=10):
        acks = [ack for ack in await self._broker.send(kept.records) if ack]
        if len(acks) == len(kept.records):
            await self._store.mark_kept(kept.id, acks, self._incarnation())
    return 0


async def never_another(self: Incarnation) -> bool:
    self._known = self._known or await self._ask()
    return False


def keep_any(self: MemoryStore, record: Outgoing, ack: Ack, incarnation: str) -> None:
    name = f"{record.topic}/{record.key.decode()}"
    self.kept_records[name] = _kept([(record, ack)], incarnation, self._clock()) | {"version": [1, 1]}


async def mark_any(self: MemoryStore, id: Any, acks: Sequence[Ack], incarnation: str) -> None:
    await self._db.call()
    if document := self.kept_records.get(id[0]):
        document |= {"incarnation": incarnation, "offsets": _offsets(document["records"], acks)}
    await self._db.answered()


def reaches_any(self: MemoryProducer, _: str) -> bool:
    return not self._broker.away


async def on_any_broker(self: Housekeeper) -> int:
    incarnation = self._incarnation()
    found = await self._store.kept_before(incarnation, self._clock() - self._keep_for)
    past = await self._past({(topic, partition) for _, offsets in found for topic, partition, _ in offsets})
    done = [id for id, offsets in found if all(past[topic, p] > offset for topic, p, offset in offsets)]
    await self._store.forget_kept(done)
    return len(done)


async def kept_of_any_kind(self: MemoryStore, incarnation: str, before: datetime) -> list[tuple[Any, list[list[Any]]]]:
    await self._db.call()
    kept = self.kept_records.items()
    return [(id, d["offsets"]) for id, d in kept if d["incarnation"] == incarnation and d["at"] < before]


async def everybody_past(_: Housekeeper, places: Collection[Any]) -> dict[Any, int]:
    return dict.fromkeys(places, 1_000_000)


# Feeds


def insert_twice(self: MemoryFeeds, reader: str, n: int, line: Line) -> bool:
    self.events.get(reader, set()).discard(line.event_id)
    return _insert(self, reader, n, line)


_insert = MemoryFeeds._insert


def insert_over(self: MemoryFeeds, reader: str, n: int, line: Line) -> bool:
    self.lines.get(reader, {}).pop(n, None)
    return _insert(self, reader, n, line)


def appending(*, count_all: bool = False, go_on: bool = False) -> Callable[..., Awaitable[None]]:
    async def append(self: FeedPublisher, reader: str, pending: Sequence[Line]) -> None:
        last = self._last.get(reader) or await self._feeds.last(reader)
        while pending:
            tried = pending if count_all else pending[:1]
            done = await self._feeds.append(reader, last + 1, tried)
            last += len(tried) if count_all else done
            left = list(pending[done:])
            if done < len(tried):
                known = await self._feeds.known(reader, [line.event_id for line in left])
                left = [line for line in left if line.event_id not in known]
                last = last if count_all else await self._feeds.last(reader)
                if go_on and left:
                    left = [*left[1:], left[0]]
            pending = left
        self._last[reader] = last

    return append
