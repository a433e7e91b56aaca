"""An aggregate in the middle of a batch: what each step does to it, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hulpketen_contracts import Envelope, Position, encode

from services.chassis.pipeline.errors import Erased, KeyReused
from services.chassis.pipeline.model import (
    Context,
    Decide,
    Decision,
    Emit,
    IdempotencyKey,
    Record,
    name_id,
    outbox_entry,
)
from services.chassis.pipeline.ports import Document


class KeyMemory(NamedTuple):
    """How many idempotency keys an aggregate remembers, and how long."""

    most: int = 50
    time: timedelta = timedelta(hours=24)


_UNSEEN = (0, 0)


@dataclass(slots=True)
class Step:
    """One thing to do to an aggregate: an event that arrived, or a command."""

    cause: str
    decide: Decide
    traceparent: str | None = None
    origin: datetime | None = None
    # An event:
    position: Position | None = None
    reference: bool = False
    begins: bool = False
    record: Record | None = None
    was_parked: bool = False
    # A command:
    key: IdempotencyKey | None = None
    # What came of it:
    result: Any = None
    error: Exception | None = None
    applied: bool = False  # an event: it lies behind the watermark now


@dataclass(slots=True)
class Outcome:
    """What the steps of one aggregate led to."""

    document: Document
    expected: int
    changed: bool = False
    park: list[Step] = field(default_factory=list)
    unpark: list[Position] = field(default_factory=list)
    failed: list[Step] = field(default_factory=list)
    let_through: list[Step] = field(default_factory=list)


class Draft:
    """Applies steps to a copy of an aggregate's document. Pure: it reads no clock and touches no database."""

    def __init__(
        self,
        aggregate: str,
        stored: Document | None,
        now: datetime,
        source: str,
        memory: KeyMemory,
        epoch: int = 1,
    ) -> None:
        """`epoch`: of a stream that begins."""
        base = stored or {"_id": aggregate, "v": 0, "epoch": epoch, "seq": 0, "state": None, "in": {}, "outbox": []}
        self._doc: Document = base | {"in": dict(base["in"]), "outbox": list(base["outbox"])}
        self._now = now
        self._source = source
        self._memory = memory
        self._gap: dict[str, datetime] = dict(base.get("gap", {}))
        self.outcome = Outcome(self._doc, expected=base["v"])

    def run(
        self,
        steps: Sequence[Step],
        parked: Mapping[str, Mapping[Position, Step]],
        skipped: frozenset[Position],
        *,
        alone: bool = False,
    ) -> Outcome:
        """Take the steps in order; a record whose turn comes by that is taken out of `parked` right after.

        `alone`: no other than these steps.
        """
        for step in steps:
            if step.position is None:
                self._command(step)
                continue
            stream = step.position.stream
            if not self._event(step, step.position, skipped) and step.error is None:
                self._gap.setdefault(stream, self._now)
                self.outcome.park.append(step)
            if stream in self._gap and not alone:
                self._let_through(stream, parked.get(stream, {}), skipped)
        for step in steps:
            step.applied = step.position is not None and self._seen(step.position)
        return self._finish()

    def _command(self, step: Step) -> None:
        if "erased" in self._doc:
            step.error = Erased()
            return
        if step.key and (found := self._answered(step.key)):
            step.error, step.result = (
                (None, found["answer"]) if found["digest"] == step.key.digest else (KeyReused(), None)
            )
            return
        decision = self._decide(step)
        if decision is None:
            return
        step.result = decision.answer
        if step.key:
            self._remember(step.key, decision.answer)
        self._accept(step, decision)

    def _event(self, step: Step, position: Position, skipped: frozenset[Position]) -> bool:
        """Apply or drop it; False where its turn has not come, or it could not be applied: its stream stands still."""
        mark = self._pass_over(position.stream, skipped)
        at = (position.epoch, position.seq)
        seen = self._seen(position)
        follows = at == (mark[0], mark[1] + 1) or (position.epoch > mark[0] and position.seq == 1)
        first = step.begins and mark == _UNSEEN
        if not (seen or follows or first or step.reference):
            return False
        if step.was_parked:
            self.outcome.unpark.append(position)
        return seen or self._apply(step, position)

    def _seen(self, position: Position) -> bool:
        mark = self._doc["in"].get(position.stream, _UNSEEN)
        return "erased" in self._doc or position[1:] <= tuple(mark)

    def _apply(self, step: Step, position: Position) -> bool:
        decision = self._decide(step)
        if step.error is not None:
            self.outcome.failed.append(step)
            return False
        self._doc["in"][position.stream] = [position.epoch, position.seq]
        self._changed_if(True)
        if decision is not None:
            self._accept(step, decision)
        return True

    def _pass_over(self, stream: str, skipped: frozenset[Position]) -> tuple[int, int]:
        """The watermark of a stream, moved on over what operations skipped."""
        epoch, seq = self._doc["in"].get(stream, _UNSEEN)
        while skipped and (after := _skipped_after(stream, epoch, seq, skipped)):
            epoch, seq = after
            self._doc["in"][stream] = [epoch, seq]
            self._changed_if(True)
        return epoch, seq

    def _let_through(self, stream: str, parked: Mapping[Position, Step], skipped: frozenset[Position]) -> None:
        """Take what is parked, in the database or by this batch, as far as its turn has come."""
        own = {step.position: step for step in self.outcome.park if step.position and step.position.stream == stream}
        self.outcome.park = [s for s in self.outcome.park if s.position and s.position.stream != stream]
        waiting = own | dict(parked)
        for position in sorted(waiting):
            if position in parked:
                self.outcome.let_through.append(parked[position])
            if not self._event(waiting[position], position, skipped):
                still = [own[at] for at in sorted(own) if at >= position and at not in parked]
                self.outcome.park += [step for step in still if step.error is None]
                return
        self._gap.pop(stream, None)

    def _decide(self, step: Step) -> Decision | None:
        try:
            return step.decide(self._doc["state"], Context(self._now, step.cause))
        except Exception as error:  # noqa: BLE001 - isolated to this step: the others go on
            step.error = error
            return None

    def _accept(self, step: Step, decision: Decision) -> None:
        self._changed_if(True)
        for ordinal, emit in enumerate(decision.events):
            self._emit(step, emit, ordinal)
        if decision.erase:
            self._doc["erased"] = self._now
            self._doc.pop("keys", None)
        self._doc["state"] = None if decision.erase else decision.state

    def _emit(self, step: Step, emit: Emit, ordinal: int) -> None:
        event = emit.event
        doc = self._doc
        doc["seq"] += 1
        target = emit.topic or doc["_id"]
        envelope = Envelope(
            id=name_id(f"{step.cause}|{event.TYPE}|{target}|{ordinal}"),
            source=self._source,
            type=event.TYPE,
            time=self._now,
            subject=emit.subject,
            stream=doc["_id"],
            streamepoch=doc["epoch"],
            streamseq=doc["seq"],
            dataref=emit.dataref,
            traceparent=step.traceparent,
            origin=step.origin,
        )
        message = encode(event, envelope, topic=emit.topic)
        doc["outbox"].append(outbox_entry(doc["seq"], envelope.id, message))

    def _answered(self, key: IdempotencyKey) -> dict[str, Any] | None:
        name = f"{key.organisation}/{key.key}"
        held = self._doc.get("keys", ())
        return next((k for k in held if k["k"] == name and k["at"] > self._now - self._memory.time), None)

    def _remember(self, key: IdempotencyKey, answer: Any) -> None:
        entry = {"k": f"{key.organisation}/{key.key}", "digest": key.digest, "answer": answer, "at": self._now}
        self._doc["keys"] = [*self._doc.get("keys", ()), entry][-self._memory.most :]

    def _changed_if(self, condition: bool) -> None:
        self.outcome.changed = self.outcome.changed or condition

    def _finish(self) -> Outcome:
        doc = self._doc
        # What is parked makes a new version even behind a known gap: who closes the gap meanwhile must see it.
        self._changed_if(bool(self.outcome.park) or self._gap != doc.get("gap", {}))
        doc.pop("gap", None)
        if self._gap:
            doc["gap"] = self._gap
        if self.outcome.changed:
            doc["v"] += 1
            if doc["outbox"]:
                doc["due"] = self._now
        return self.outcome


def _skipped_after(stream: str, epoch: int, seq: int, skipped: frozenset[Position]) -> tuple[int, int] | None:
    """The next place of a stream, or the first of its next epoch, where that was skipped."""
    if Position(stream, epoch, seq + 1) in skipped:
        return epoch, seq + 1
    later = [p.epoch for p in skipped if p.stream == stream and p.epoch > epoch and p.seq == 1]
    return (min(later), 1) if later else None
