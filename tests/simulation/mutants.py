"""The pipeline with one rule broken, for each of its rules: what the simulation must find out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from hulpketen_contracts import Position

from services.chassis.housekeeping import Housekeeper
from services.chassis.loops import BatchLoop
from services.chassis.pipeline import publisher as publishing
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.draft import Draft, Outcome, Step
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.feed import FeedPublisher
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.model import Ack, Context, DeadLetter, Decision, Outgoing, Record, outgoing
from services.chassis.pipeline.ports import Cleared, Document, Line, Write
from services.chassis.pipeline.publisher import KafkaPublisher, clearing
from services.chassis.pipeline.relay import Relay, Republisher
from tests.simulation import memory_store
from tests.simulation.faults import Faults
from tests.simulation.memory_broker import MemoryProducer, MemorySubscriber
from tests.simulation.memory_rest import MemoryFeeds
from tests.simulation.memory_store import MemoryStore, _copy, _kept, _letter_id, _offsets

Patch = Callable[[pytest.MonkeyPatch], None]


# Mixtures that make likely what seldom meets in the general one.
RACES = Faults(rebalance=0.1, stall=0.1, send_lost=0.3, send_late=0.2, reference=0.0, idle_s=0.3)
OUT_OF_ORDER = Faults(send_lost=0.2, send_late=0.3, reference=0.0, idle_s=3.0)
OUT_OF_ORDER_AND_BAD = Faults(
    rebalance=0.05, stall=0.05, send_lost=0.3, send_late=0.2, bad=("poison",), bad_share=0.4, reference=0.0
)
DEATHS = Faults(kill=0.01, unavailable=0.03, send_lost=0.3, send_late=0.2, reference=0.0, idle_s=0.3)
DEATHS_AND_LOSSES = Faults(
    kill=0.01, unavailable=0.02, lose_log=0.004, losses=100, ack_slow=0.3, reference=0.0, idle_s=0.8
)
LOSS_OF_REFERENCE_DATA = Faults(
    lose_log=0.003, losses=3, ack_slow=1.0, skip_leases=True, reference=1.0, idle_s=1.5, watch_s=0.2
)
SLOW_TO_COME_BACK = Faults(lose_log=0.003, losses=1, slow=0.8, ack_slow=0.7, reference=1.0, idle_s=1.5, watch_s=0.4)
LATE_TO_SEE_A_LOSS = Faults(
    lose_log=0.005, losses=3, skip_leases=True, send_lost=0.2, reference=0.0, idle_s=1.5, watch_s=4.0
)
LOSS_OF_BAD_RECORDS = Faults(
    lose_log=0.003, losses=2, garbage=0.03, bad=("corrupt",), bad_share=0.8, reference=0.0, idle_s=0.1, watch_s=4.0
)
LOSS_OF_HUGE_RECORDS = Faults(
    lose_log=0.005,
    losses=3,
    slow=0.5,
    skip_leases=True,
    bad=("huge",),
    bad_share=0.4,
    reference=0.0,
    idle_s=0.3,
    watch_s=1.5,
)
MIXTURES = {
    "races": RACES,
    "out of order": OUT_OF_ORDER,
    "out of order and bad": OUT_OF_ORDER_AND_BAD,
    "deaths": DEATHS,
    "deaths and losses": DEATHS_AND_LOSSES,
    "loss of reference data": LOSS_OF_REFERENCE_DATA,
    "slow to come back": SLOW_TO_COME_BACK,
    "late to see a loss": LATE_TO_SEE_A_LOSS,
    "loss of bad records": LOSS_OF_BAD_RECORDS,
    "loss of huge records": LOSS_OF_HUGE_RECORDS,
}


class Mutant(NamedTuple):
    """The rule that is broken, and how; `faults` for what goes wrong too seldom in the general mixture."""

    rule: str
    patch: Patch
    faults: Faults | None = None


def _set(owner: object, name: str, value: object) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, value)

    return patch


async def _nothing(*_: Any, **__: Any) -> int:
    return 0


# Writes


def _write_any(self: MemoryStore, write: Write) -> bool:
    self.aggregates[write.document["_id"]] = _copy(write.document)
    return True


_take = Engine.take
_write = Engine._write


async def _take_lost_races_as_won(self: Engine, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
    return {aggregate: result or True for aggregate, result in (await _write(self, outcomes)).items()}


# Publishing


async def _take_own(self: Engine, groups: Any, **options: Any) -> list[Document]:
    return [document | {"outbox": document["outbox"][-1:]} for document in await _take(self, groups, **options)]


def _any_acknowledged(results: Sequence[tuple[Outgoing, Ack | None]]) -> Iterator[tuple[Outgoing, Ack]]:
    return ((record, ack) for record, ack in results if ack is not None)


def _publishing(*, clear_first: bool = False, incarnation_after: bool = False) -> Any:
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


def _clear_all(self: MemoryStore, cleared: Cleared) -> None:
    self.aggregates[cleared.aggregate]["outbox"] = []
    self.aggregates[cleared.aggregate].pop("due", None)


# A broker that lost its log

_republish = Republisher.run_once


async def _republish_once(self: Any, *_: Any) -> int:
    if getattr(self, "done", "") == self._incarnation():
        return 0
    incarnation = self._incarnation()
    left = await _republish(self)
    if not left:
        self.done = incarnation
    return left


async def _republish_some(self: Republisher) -> int:
    incarnation = self._incarnation()
    for kept in await self._store.kept_elsewhere(incarnation, limit=10):
        acks = [ack or Ack(0, 0) for ack in await self._broker.send(kept.records)]
        await self._store.mark_kept(kept.id, acks, incarnation)
    return 0


async def _forget_republishing(self: Republisher) -> int:
    """Marks with what is known after the send."""
    for kept in await self._store.kept_elsewhere(self._incarnation(), limit=10):
        acks = [ack for ack in await self._broker.send(kept.records) if ack]
        if len(acks) == len(kept.records):
            await self._store.mark_kept(kept.id, acks, self._incarnation())
    return 0


async def _never_another(self: Incarnation) -> bool:
    self._known = self._known or await self._ask()
    return False


def _keep_any(self: MemoryStore, record: Outgoing, ack: Ack, incarnation: str) -> None:
    name = f"{record.topic}/{record.key.decode()}"
    self.kept_records[name] = _kept([(record, ack)], incarnation, self._clock()) | {"version": [1, 1]}


async def _mark_any(self: MemoryStore, id: Any, acks: Sequence[Ack], incarnation: str) -> None:
    await self._db.call()
    if document := self.kept_records.get(id[0]):
        document |= {"incarnation": incarnation, "offsets": _offsets(document["records"], acks)}
    await self._db.answered()


def _reaches_any(self: MemoryProducer, _: str) -> bool:
    return not self._broker.away


async def _on_any_broker(self: Housekeeper) -> int:
    incarnation = self._incarnation()
    found = await self._store.kept_before(incarnation, self._clock() - self._keep_for)
    past = await self._past({(topic, partition) for _, offsets in found for topic, partition, _ in offsets})
    done = [id for id, offsets in found if all(past[topic, p] > offset for topic, p, offset in offsets)]
    await self._store.forget_kept(done)
    return len(done)


async def _kept_of_any_kind(self: MemoryStore, incarnation: str, before: datetime) -> list[tuple[Any, list[list[Any]]]]:
    await self._db.call()
    kept = self.kept_records.items()
    return [(id, d["offsets"]) for id, d in kept if d["incarnation"] == incarnation and d["at"] < before]


def _letter_by_place(group: str, incarnation: str, letter: DeadLetter) -> str:
    return _letter_id(group, incarnation, letter._replace(position=None))


async def _everybody_past(_: Housekeeper, places: Collection[Any]) -> dict[Any, int]:
    return dict.fromkeys(places, 1_000_000)


# Streams

_event = Draft._event
_draft = Draft.__init__


def _event_seen_again(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    if "erased" not in self._doc and position[1:] <= tuple(self._doc["in"].get(position.stream, (0, 0))):
        return self._apply(step, position)
    return _event(self, step, position, skipped)


def _event_ahead(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    return _event(self, step, position, skipped) or (step.error is None and self._apply(step, position))


def _event_dropped(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    return _event(self, step, position, skipped) or step.error is None


def _one_watermark(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    return _event(self, step, position._replace(stream="all"), skipped)


async def _park_after(self: Engine, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
    fresh = {a: o for a, o in outcomes.items() if any(not step.was_parked for step in o.park)}
    held, self._park = self._park, _nothing  # type: ignore[assignment, method-assign]
    try:
        results = await _write(self, outcomes)
    finally:
        self._park = held  # type: ignore[method-assign]
    await self._park(fresh)
    return results


async def _unpark_before(self: Engine, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
    if positions := [position for outcome in outcomes.values() for position in outcome.unpark]:
        await self._store.unpark(self._group, positions)
    return await _write(self, outcomes)


_let_through = Draft._let_through


def _only_stored(self: Draft, stream: str, parked: Mapping[Position, Step], skipped: frozenset[Position]) -> None:
    own, self.outcome.park = self.outcome.park, []
    _let_through(self, stream, parked, skipped)
    self.outcome.park += own
    if own:
        self._gap.setdefault(stream, self._now)


_finish = Draft._finish


def _same_version_behind_gap(self: Draft) -> Outcome:
    park, self.outcome.park = self.outcome.park, []
    outcome = _finish(self)
    outcome.park = park
    return outcome


_run = Engine._run
_park = Engine._park


async def _park_unmarked(self: Engine, outcomes: Mapping[str, Outcome]) -> None:
    await _park(self, outcomes)
    for outcome in outcomes.values():
        for step in outcome.park:
            step.was_parked = False


def _reference_in_order(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    step.reference = False
    return _event(self, step, position, skipped)


def _skip_nothing(self: Draft, stream: str, _: frozenset[Position]) -> tuple[int, int]:
    epoch, seq = self._doc["in"].get(stream, (0, 0))
    return epoch, seq


async def _offer_nothing(self: Consumer, before: datetime) -> None:
    return None


# Batches


async def _commit_first(self: MemorySubscriber) -> None:
    while True:
        session = self._session
        records = self._broker.poll(session, self._batch()) if session else []
        if session is None or not records:
            await self._idle()
            continue
        self._broker.commit(session, session.generation, dict(session.positions))
        self.busy = True
        await self._handle(records)
        self.busy = False


async def _give_up(self: BatchLoop, records: Sequence[Record]) -> None:
    try:
        await self._handle(records)
    except StoreUnavailable:
        return


# Dead letters


def _decide_or_fail(self: Draft, step: Step) -> Decision | None:
    return step.decide(self._doc["state"], Context(self._now, step.cause))


_apply = Draft._apply


def _pass_failed(self: Draft, step: Step, position: Position) -> bool:
    if not _apply(self, step, position):
        self._doc["in"][position.stream] = [position.epoch, position.seq]
        self._changed_if(True)
    return True


async def _bury_all(self: Engine, aggregate: str, steps: Sequence[Step], refusal: Exception) -> None:
    for step in steps:
        step.error = refusal
    await self._bury(steps)


_handle = Consumer.handle


async def _handle_as_if_applied(self: Consumer, records: Sequence[Record]) -> list[DeadLetter]:
    await _handle(self, records)
    return []


_one_by_one = Engine._one_by_one


async def _blame_first(self: Engine, aggregate: str, steps: Sequence[Step], refusal: Exception) -> Document | None:
    return await _one_by_one(self, aggregate, [step for step in steps if not step.was_parked] or steps, refusal)


# Commands and erasure

_accept = Draft._accept


def _accept_without_tombstone(self: Draft, step: Step, decision: Decision) -> None:
    _accept(self, step, decision)
    self._doc.pop("erased", None)


_clear_one = MemoryStore._clear_one


def _delete_erased(self: MemoryStore, cleared: Cleared) -> None:
    _clear_one(self, cleared)
    stored = self.aggregates.get(cleared.aggregate)
    if stored and "erased" in stored and not stored["outbox"]:
        del self.aggregates[cleared.aggregate]


def _remember_nothing(*_: Any) -> None:
    return None


# Feeds


def _insert_twice(self: MemoryFeeds, reader: str, n: int, line: Line) -> bool:
    self.events.get(reader, set()).discard(line.event_id)
    return _insert(self, reader, n, line)


_insert = MemoryFeeds._insert


def _insert_over(self: MemoryFeeds, reader: str, n: int, line: Line) -> bool:
    self.lines.get(reader, {}).pop(n, None)
    return _insert(self, reader, n, line)


def _appending(*, count_all: bool = False, go_on: bool = False) -> Callable[..., Awaitable[None]]:
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


MUTANTS = {
    "write whatever the version": Mutant(
        "every write is conditional", _set(MemoryStore, "_write_one", _write_any), RACES
    ),
    "take a lost race as won": Mutant(
        "a lost race is decided again", _set(Engine, "_write", _take_lost_races_as_won), RACES
    ),
    "publish own events only": Mutant("who writes publishes the whole outbox", _set(Engine, "take", _take_own)),
    "clear past a failed send": Mutant(
        "acknowledged only when all before it are", _set(publishing, "_acknowledged", _any_acknowledged)
    ),
    "clear, then keep": Mutant(
        "keep before clear", _set(KafkaPublisher, "publish", _publishing(clear_first=True)), DEATHS_AND_LOSSES
    ),
    "incarnation as known after the send": Mutant(
        "the incarnation known before the send",
        _set(KafkaPublisher, "publish", _publishing(incarnation_after=True)),
        SLOW_TO_COME_BACK,
    ),
    "clear what was written since": Mutant("clear up to what was sent", _set(MemoryStore, "_clear_one", _clear_all)),
    "no relay": Mutant("the relay publishes what waits", _set(Relay, "run_once", _nothing)),
    "republish nothing": Mutant("kept records are published again", _set(Republisher, "run_once", _nothing)),
    "republish once": Mutant("republish until none is left", _set(Republisher, "run_once", _republish_once)),
    "republish in part": Mutant("marked when all are acknowledged", _set(Republisher, "run_once", _republish_some)),
    "mark with what is known after": Mutant(
        "the incarnation known before the send",
        _set(Republisher, "run_once", _forget_republishing),
        LOSS_OF_REFERENCE_DATA,
    ),
    "never see another broker": Mutant("another cluster id is another log", _set(Incarnation, "check", _never_another)),
    "keep an older version": Mutant(
        "of reference data the latest", _set(MemoryStore, "_keep_latest", _keep_any), LOSS_OF_REFERENCE_DATA
    ),
    "mark a later version": Mutant(
        "marked is what was sent", _set(MemoryStore, "mark_kept", _mark_any), LOSS_OF_REFERENCE_DATA
    ),
    "forget what is not consumed": Mutant(
        "kept until every group is past it", _set(Housekeeper, "_past", _everybody_past), LATE_TO_SEE_A_LOSS
    ),
    "believe offsets of any broker": Mutant(
        "kept until every group is past it on this broker",
        _set(Housekeeper, "run_once", _on_any_broker),
        LATE_TO_SEE_A_LOSS,
    ),
    "forget reference data": Mutant(
        "of reference data the latest stays for ever",
        _set(MemoryStore, "kept_before", _kept_of_any_kind),
        LOSS_OF_REFERENCE_DATA,
    ),
    "send to any broker": Mutant(
        "sent to the known broker alone", _set(MemoryProducer, "_reaches", _reaches_any), SLOW_TO_COME_BACK
    ),
    "apply what was seen": Mutant("at or below the watermark: drop", _set(Draft, "_event", _event_seen_again)),
    "apply ahead": Mutant("further on: park", _set(Draft, "_event", _event_ahead)),
    "drop ahead": Mutant("further on: park", _set(Draft, "_event", _event_dropped)),
    "one watermark an aggregate": Mutant("a watermark per stream", _set(Draft, "_event", _one_watermark)),
    "write, then park": Mutant("parked before the write", _set(Engine, "_write", _park_after), RACES),
    "unpark, then write": Mutant(
        "let go after the write", _set(Engine, "_write", _unpark_before), OUT_OF_ORDER_AND_BAD
    ),
    "forget what this batch parked": Mutant(
        "let through what the batch parked", _set(Draft, "_let_through", _only_stored), OUT_OF_ORDER
    ),
    "park without a new version": Mutant("parking is a write", _set(Draft, "_finish", _same_version_behind_gap), RACES),
    "forget that it was parked": Mutant("let go of what lost its race", _set(Engine, "_park", _park_unmarked), RACES),
    "reference data in order": Mutant(
        "of reference data the latest", _set(Draft, "_event", _reference_in_order), LOSS_OF_REFERENCE_DATA
    ),
    "skip nothing": Mutant(
        "a skip lets the next through", _set(Draft, "_pass_over", _skip_nothing), LOSS_OF_BAD_RECORDS
    ),
    "offer nothing again": Mutant(
        "what is parked is offered again", _set(Consumer, "offer_parked", _offer_nothing), DEATHS
    ),
    "commit first": Mutant("commit last", _set(MemorySubscriber, "run", _commit_first), DEATHS),
    "give a batch up": Mutant("the same batch until it is safe", _set(BatchLoop, "until_safe", _give_up), DEATHS),
    "let an exception through": Mutant("isolated to its stream", _set(Draft, "_decide", _decide_or_fail)),
    "pass over what failed": Mutant("a dead record stops its stream", _set(Draft, "_apply", _pass_failed)),
    "bury nothing": Mutant("a dead record is held", _set(Engine, "_bury", _nothing)),
    "forget a letter whose replay failed": Mutant(
        "a dead record is held", _set(Consumer, "handle", _handle_as_if_applied)
    ),
    "bury all that was refused": Mutant(
        "isolated to its stream", _set(Engine, "_one_by_one", _bury_all), LOSS_OF_HUGE_RECORDS
    ),
    "tell dead letters apart by place": Mutant(
        "a dead record is held", _set(memory_store, "_letter_id", _letter_by_place), LOSS_OF_BAD_RECORDS
    ),
    "blame the first": Mutant(
        "isolated to its stream", _set(Engine, "_one_by_one", _blame_first), LOSS_OF_HUGE_RECORDS
    ),
    "erase without a tombstone": Mutant("a tombstone stays", _set(Draft, "_accept", _accept_without_tombstone)),
    "delete what was erased": Mutant("a tombstone stays", _set(MemoryStore, "_clear_one", _delete_erased)),
    "forget idempotency keys": Mutant("a command once", _set(Draft, "_remember", _remember_nothing)),
    "an event twice in a feed": Mutant("unique by event", _set(MemoryFeeds, "_insert", _insert_twice)),
    "a number twice in a feed": Mutant("unique by number", _set(MemoryFeeds, "_insert", _insert_over)),
    "count lines that did not go in": Mutant("dense", _set(FeedPublisher, "_append", _appending(count_all=True))),
    "go on with the next line": Mutant(
        "stop at a taken number", _set(FeedPublisher, "_append", _appending(go_on=True))
    ),
}
