"""Streams, batches, dead letters and erasure, each with one rule broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hulpketen_contracts import Position

from services.chassis.loops import BatchLoop
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.draft import Draft, Outcome, Step
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Context, DeadLetter, Decision, Record
from services.chassis.pipeline.ports import Cleared, Document
from tests.simulation.broken_delivery import nothing
from tests.simulation.memory_broker import MemorySubscriber
from tests.simulation.memory_store import MemoryStore, _letter_id

# Streams

_write = Engine._write
_event = Draft._event


def event_seen_again(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    if "erased" not in self._doc and position[1:] <= tuple(self._doc["in"].get(position.stream, (0, 0))):
        return self._apply(step, position)
    return _event(self, step, position, skipped)


def event_ahead(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    return _event(self, step, position, skipped) or (step.error is None and self._apply(step, position))


def event_dropped(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    return _event(self, step, position, skipped) or step.error is None


def one_watermark(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    return _event(self, step, position._replace(stream="all"), skipped)


async def park_after(self: Engine, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
    fresh = {a: o for a, o in outcomes.items() if any(not step.was_parked for step in o.park)}
    held, self._park = self._park, nothing  # type: ignore[assignment, method-assign]
    try:
        results = await _write(self, outcomes)
    finally:
        self._park = held  # type: ignore[method-assign]
    await self._park(fresh)
    return results


async def unpark_before(self: Engine, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
    if positions := [position for outcome in outcomes.values() for position in outcome.unpark]:
        await self._store.unpark(self._group, positions)
    return await _write(self, outcomes)


_let_through = Draft._let_through


def only_stored(self: Draft, stream: str, parked: Mapping[Position, Step], skipped: frozenset[Position]) -> None:
    own, self.outcome.park = self.outcome.park, []
    _let_through(self, stream, parked, skipped)
    self.outcome.park += own
    if own:
        self._gap.setdefault(stream, self._now)


_finish = Draft._finish


def same_version_behind_gap(self: Draft) -> Outcome:
    park, self.outcome.park = self.outcome.park, []
    outcome = _finish(self)
    outcome.park = park
    return outcome


_park = Engine._park


async def park_unmarked(self: Engine, outcomes: Mapping[str, Outcome]) -> None:
    await _park(self, outcomes)
    for outcome in outcomes.values():
        for step in outcome.park:
            step.was_parked = False


def reference_in_order(self: Draft, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
    step.reference = False
    return _event(self, step, position, skipped)


def skip_nothing(self: Draft, stream: str, _: frozenset[Position]) -> tuple[int, int]:
    epoch, seq = self._doc["in"].get(stream, (0, 0))
    return epoch, seq


async def offer_nothing(self: Consumer, before: datetime) -> None:
    return None


# Batches


async def commit_first(self: MemorySubscriber) -> None:
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


async def give_up(self: BatchLoop, records: Sequence[Record]) -> None:
    try:
        await self._handle(records)
    except StoreUnavailable:
        return


# Dead letters


def decide_or_fail(self: Draft, step: Step) -> Decision | None:
    return step.decide(self._doc["state"], Context(self._now, step.cause))


_apply = Draft._apply


def pass_failed(self: Draft, step: Step, position: Position) -> bool:
    if not _apply(self, step, position):
        self._doc["in"][position.stream] = [position.epoch, position.seq]
        self._changed_if(True)
    return True


async def bury_all(self: Engine, aggregate: str, steps: Sequence[Step], refusal: Exception) -> None:
    for step in steps:
        step.error = refusal
    await self._bury(steps)


_handle = Consumer.handle


async def handle_as_if_applied(self: Consumer, records: Sequence[Record]) -> list[DeadLetter]:
    await _handle(self, records)
    return []


_one_by_one = Engine._one_by_one


async def blame_first(self: Engine, aggregate: str, steps: Sequence[Step], refusal: Exception) -> Document | None:
    return await _one_by_one(self, aggregate, [step for step in steps if not step.was_parked] or steps, refusal)


def letter_by_place(group: str, incarnation: str, letter: DeadLetter) -> str:
    return _letter_id(group, incarnation, letter._replace(position=None))


# Commands and erasure

_accept = Draft._accept


def accept_without_tombstone(self: Draft, step: Step, decision: Decision) -> None:
    _accept(self, step, decision)
    self._doc.pop("erased", None)


_clear_one = MemoryStore._clear_one


def delete_erased(self: MemoryStore, cleared: Cleared) -> None:
    _clear_one(self, cleared)
    stored = self.aggregates.get(cleared.aggregate)
    if stored and "erased" in stored and not stored["outbox"]:
        del self.aggregates[cleared.aggregate]


def remember_nothing(*_: Any) -> None:
    return None
