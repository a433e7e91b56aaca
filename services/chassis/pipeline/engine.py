"""Load, decide in memory, write in one conditional bulk, publish: the same for events and for commands."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hulpketen_contracts import Position

from services.chassis.pipeline.draft import Draft, KeyMemory, Outcome, Step
from services.chassis.pipeline.errors import OutboxFull, WriteRefused
from services.chassis.pipeline.model import Command, DeadLetter, Parked
from services.chassis.pipeline.ports import Document, Publisher, Store, Write

_MEMORY = KeyMemory()
Groups = Mapping[str, Sequence[Step]]
# Makes the step of a parked record again; given to the engine by who knows how to read records.
Read = Callable[[Parked], Step]


class Engine:
    """Takes steps to the aggregates of one service. It knows neither Kafka nor MongoDB."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        group: str,
        source: str,
        clock: Callable[[], datetime],
        incarnation: Callable[[], str],
        spawn: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
        traceparent: Callable[[], str | None] = lambda: None,
        key_memory: KeyMemory = _MEMORY,
        epoch: int = 1,
    ) -> None:
        """`spawn` runs the publishing that a command leaves behind; `incarnation` is the broker's, as known now;
        `epoch` that of streams that begin."""
        self._store = store
        self._publisher = publisher
        self._group = group
        self._source = source
        self._clock = clock
        self._incarnation = incarnation
        self._spawn = spawn
        self._traceparent = traceparent
        self._key_memory = key_memory
        self.epoch = epoch
        self.read: Read | None = None
        self.outbox_full = False

    async def execute(self, command: Command) -> Any:
        """Decide one command; its answer, once a majority has the decision.

        Raises: what `decide` raised; KeyReused; Erased; OutboxFull; WriteRefused; StoreUnavailable.
        """
        (result,) = await self.execute_many([command])
        if isinstance(result, Exception):
            raise result
        return result

    async def execute_many(self, commands: Sequence[Command]) -> list[Any]:
        """As `execute`, in one load and one bulk write; an exception stands in the place of its command's answer."""
        if self.outbox_full:
            raise OutboxFull("events wait for the broker; try again later")
        traceparent = self._traceparent()
        steps = [Step(c.cause or str(uuid.uuid4()), c.decide, traceparent=traceparent, key=c.key) for c in commands]
        written = await self.take(_by_aggregate(zip(commands, steps, strict=True)))
        if written:
            await self._spawn(self._publisher.publish(written))
        return [step.result if step.error is None else step.error for step in steps]

    async def handle(self, groups: Groups) -> None:
        """Take the steps of a batch of events, and publish what came of them."""
        written = await self.take(groups)
        if written:
            await self._publisher.publish(written)

    async def take(self, groups: Groups, *, alone: bool = False) -> list[Document]:
        """Decide and write until each aggregate is done; a lost race is decided again. The documents as written.

        `alone`: what is parked stays so.
        """
        written: dict[str, Document] = {}
        pending = groups
        while pending:
            outcomes = await self._decide(pending, alone)
            again: dict[str, Sequence[Step]] = {}
            for aggregate, result in (await self._write(outcomes)).items():
                if result is True:
                    written[aggregate] = outcomes[aggregate].document
                elif result is False:
                    again[aggregate] = pending[aggregate]
                else:
                    steps = [*pending[aggregate], *outcomes[aggregate].let_through]
                    document = await self._one_by_one(aggregate, steps, result)
                    if document:
                        written[aggregate] = document
            pending = again
        return [document for document in written.values() if document["outbox"]]

    async def _decide(self, groups: Groups, alone: bool) -> dict[str, Outcome]:
        stored = await self._store.load(groups)
        known = {stream for document in stored.values() for stream in document.get("gap", ())}
        outcomes = self._run(groups, alone, stored, *await self._gaps(known, groups))
        new = {a: _waiting(o) - known for a, o in outcomes.items() if o.park}
        if any(new.values()):  # a gap that the aggregate did not know of: operations may have skipped what is missing
            again = {aggregate: groups[aggregate] for aggregate, streams in new.items() if streams}
            outcomes |= self._run(again, alone, stored, *await self._gaps(known.union(*new.values()), again))
        return outcomes

    def _run(
        self,
        groups: Groups,
        alone: bool,
        stored: Mapping[str, Document],
        parked: Mapping[str, Mapping[Position, Step]],
        skipped: frozenset[Position],
    ) -> dict[str, Outcome]:
        now = self._clock()
        outcomes = {}
        for aggregate, steps in groups.items():
            for step in steps:
                step.result = step.error = None
            draft = Draft(aggregate, stored.get(aggregate), now, self._source, self._key_memory, self.epoch)
            outcomes[aggregate] = draft.run(steps, parked, skipped, alone=alone)
        return outcomes

    async def _gaps(
        self, streams: Collection[str], groups: Groups
    ) -> tuple[dict[str, dict[Position, Step]], frozenset[Position]]:
        """What is parked and what was skipped of streams with a gap: rarely any."""
        if not streams or self.read is None:
            return {}, frozenset()
        parked: dict[str, dict[Position, Step]] = {}
        for record in await self._store.parked(self._group, streams):
            if record.aggregate in groups:
                parked.setdefault(record.position.stream, {})[record.position] = self.read(record)
        return parked, frozenset(await self._store.skipped(self._group, streams))

    async def _write(self, outcomes: Mapping[str, Outcome]) -> dict[str, bool | Exception]:
        """First what must not be lost (parked, buried), then the bulk, then what it made superfluous."""
        await self._park(outcomes)
        await self._bury([step for outcome in outcomes.values() for step in outcome.failed])
        changed = {a: o for a, o in outcomes.items() if o.changed}
        results = await self._store.write([Write(o.document, o.expected) for o in changed.values()]) if changed else []
        by_aggregate = dict(zip(changed, results, strict=True))
        done = [p for a, o in outcomes.items() if by_aggregate.get(a, True) is True for p in o.unpark]
        if done:
            await self._store.unpark(self._group, done)
        return by_aggregate

    async def _park(self, outcomes: Mapping[str, Outcome]) -> None:
        parked = [(a, s) for a, outcome in outcomes.items() for s in outcome.park if not s.was_parked]
        if parked:
            records = [Parked(s.position, a, s.record) for a, s in parked if s.position and s.record]
            await self._store.park(self._group, records)
        for _, step in parked:
            step.was_parked = True  # where the write that follows loses its race, it may be applied after all

    async def _bury(self, failed: Iterable[Step]) -> None:
        letters = [
            DeadLetter(step.record, step.position, "decision-failed", type(step.error).__name__)
            for step in failed
            if step.record
        ]
        if letters:
            await self._store.bury(self._group, self._incarnation(), letters)

    async def _one_by_one(self, aggregate: str, steps: Sequence[Step], refusal: Exception) -> Document | None:
        """The database refuses what these steps led to: find the step that does it, and let the others through."""
        if len(steps) == 1:
            steps[0].error, steps[0].applied = WriteRefused(type(refusal).__name__), False
            await self._bury(steps)
            if steps[0].was_parked and steps[0].position:
                await self._store.unpark(self._group, [steps[0].position])
            return None
        last = None
        for step in sorted(steps, key=_in_order):
            for document in await self.take({aggregate: [step]}, alone=True):
                last = document
        return last


def _in_order(step: Step) -> tuple[Any, ...]:
    return step.position or ()


def _waiting(outcome: Outcome) -> set[str]:
    return {step.position.stream for step in outcome.park if step.position}


def _by_aggregate(pairs: Iterable[tuple[Command, Step]]) -> dict[str, list[Step]]:
    groups: dict[str, list[Step]] = {}
    for command, step in pairs:
        groups.setdefault(command.aggregate, []).append(step)
    return groups
