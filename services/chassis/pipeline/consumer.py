"""A batch of records from the broker becomes steps for the engine; a bad record goes to the dead letters alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from hulpketen_contracts import Decoded, DecodeError, Envelope, decode, peek

from services.chassis.pipeline.draft import Step
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import (
    Context,
    DeadLetter,
    Decide,
    Decision,
    Handler,
    Handlers,
    Parked,
    Record,
    State,
)
from services.chassis.pipeline.ports import Store

WAITS = "waits"  # no reason of a dead letter, but what `handle` says of a record whose turn has not come


class Span(Protocol):
    """The trace of one record; what follows from the record carries on from `traceparent`."""

    @property
    def traceparent(self) -> str | None: ...

    def end(self, error: str | None = None) -> None: ...


StartSpan = Callable[[Envelope, str], Span]


class Consumer:
    """Takes batches of records for one service."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        handlers: Handlers,
        *,
        group: str,
        incarnation: Callable[[], str],
        start_span: StartSpan,
    ) -> None:
        self._engine = engine
        self._store = store
        self._handlers = handlers
        self._group = group
        self._incarnation = incarnation
        self._start_span = start_span
        engine.read = self._read_parked

    async def handle(self, records: Sequence[Record]) -> list[DeadLetter]:
        """Apply a batch; when it returns all of it is safe and may be committed. The records that were not applied:
        those that nobody could apply, and those whose turn has not come.

        Raises: StoreUnavailable; then nothing may be committed, and the same batch is to be handled again.
        """
        groups: dict[str, list[Step]] = {}
        bad: list[DeadLetter] = []
        spans: list[tuple[Step, Span]] = []
        for record in records:
            try:
                decoded = decode(record.headers, record.value)
            except DecodeError as error:
                bad.append(DeadLetter(record, peek(record.headers), error.reason, error.detail))
                continue
            if decoded.envelope.position is None:
                bad.append(DeadLetter(record, None, "bad-headers", "the event stands in no stream"))
                continue
            handler = self._handlers.get(type(decoded.data))
            aggregate = handler.route(decoded) if handler else None
            if handler and aggregate:
                span = self._start_span(decoded.envelope, record.topic)
                step = _step(decoded, handler, record, span.traceparent)
                spans.append((step, span))
                groups.setdefault(aggregate, []).append(step)
        try:
            await self._take(groups, bad)
        finally:
            for step, span in spans:
                span.end(type(step.error).__name__ if step.error else None)
        left = [step for step, _ in spans if not step.applied]
        return bad + [DeadLetter(s.record, s.position, *_why(s)) for s in left if s.record]

    async def _take(self, groups: dict[str, list[Step]], bad: Sequence[DeadLetter]) -> None:
        if bad:
            await self._store.bury(self._group, self._incarnation(), bad)
        if groups:
            await self._engine.handle(groups)

    async def offer_parked(self, before: datetime) -> None:
        """Offer again what has been parked since before then.

        It may have been skipped to while it was being parked, or applied by a process that died before letting it go.
        """
        for aggregate, stream in await self._store.parked_before(self._group, before):
            await self.let_through(aggregate, stream)

    async def let_through(self, aggregate: str, stream: str) -> None:
        """Apply what is parked of this stream, as far as its turn has come; let go of what was applied before."""
        parked = [p for p in await self._store.parked(self._group, [stream]) if p.aggregate == aggregate]
        if parked:
            steps = [self._read_parked(p) for p in sorted(parked, key=lambda p: p.position)]
            await self._engine.handle({aggregate: steps})

    def _read_parked(self, parked: Parked) -> Step:
        decoded = decode(parked.record.headers, parked.record.value)
        step = _step(decoded, self._handlers[type(decoded.data)], parked.record, decoded.envelope.traceparent)
        step.was_parked = True
        return step


def _step(decoded: Decoded, handler: Handler, record: Record, traceparent: str | None) -> Step:
    envelope = decoded.envelope
    return Step(
        cause=envelope.id,
        decide=_deciding(handler, decoded),
        traceparent=traceparent,
        origin=envelope.origin or envelope.time,
        position=envelope.position,
        reference=decoded.data.REFERENCE,
        begins=handler.begins,
        record=record,
    )


def _why(step: Step) -> tuple[str, str]:
    if step.error:
        return "decision-failed", type(step.error).__name__
    return WAITS, "an earlier record of its stream has not been applied"


def _deciding(handler: Handler, decoded: Decoded) -> Decide:
    def decide(state: State | None, context: Context) -> Decision | None:
        return handler.decide(state, decoded, context)

    return decide
