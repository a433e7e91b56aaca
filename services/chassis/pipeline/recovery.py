"""The aggregate of a database that was restored, brought to where its own events say that it had come. Pure.

What an event of ours was caused by shows in its id: of an input that is at hand, the decision is made again; of a
command nothing is left but the event, and the state that it tells of is taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from hulpketen_contracts import Decoded, Position

from services.chassis.pipeline.model import Context, Decision, State, name_id
from services.chassis.pipeline.ports import Document

# Takes over into a state what one of our own events tells of it; the state as it is where that is nothing.
Reflect = Callable[[State | None, Decoded], State | None]
_MOST_EVENTS_OF_A_DECISION = 8


class Input(NamedTuple):
    """An event that feeds the aggregate and that it does not know yet, with what decides."""

    event: Decoded
    decide: Callable[[State | None, Decoded, Context], Decision | None]


def recover(document: Document, own: Sequence[Decoded], inputs: Sequence[Input], reflect: Reflect) -> Document:
    """The document after all of `own`, its events since the backup; `inputs` that none of them tells of are left.

    Nothing is published by it: others have these events.
    """
    if "erased" in document:
        return document
    return _Recovery(document, inputs, reflect).run(sorted(own, key=lambda event: _at(event)[1:]))


class _Recovery:
    def __init__(self, document: Document, inputs: Sequence[Input], reflect: Reflect) -> None:
        self._doc: Document = document | {"in": dict(document["in"]), "v": document["v"] + 1}
        self._inputs = sorted(inputs, key=lambda each: _at(each.event))
        self._reflect = reflect

    def run(self, own: Sequence[Decoded]) -> Document:
        causes = dict(self._causes({event.envelope.type for event in own}))
        for event in own:
            place = [event.envelope.streamepoch, event.envelope.streamseq]
            if place <= [self._doc["epoch"], self._doc["seq"]]:
                continue
            if cause := causes.get(event.envelope.id):
                self._decide_up_to(cause, event)
            if "erased" not in self._doc:
                self._doc["state"] = self._reflect(self._doc["state"], event)
            self._doc["epoch"], self._doc["seq"] = place
        return self._doc

    def _causes(self, types: Iterable[str]) -> Iterator[tuple[str, Input]]:
        """Which input an id of ours would come from (see Draft._emit)."""
        for each in self._inputs:
            for kind in types:
                for ordinal in range(_MOST_EVENTS_OF_A_DECISION):
                    yield name_id(f"{each.event.envelope.id}|{kind}|{self._doc['_id']}|{ordinal}"), each

    def _decide_up_to(self, cause: Input, own: Decoded) -> None:
        """What led to this event, and what of the same stream came before it and led to none."""
        last = _at(cause.event)
        for each in self._inputs:
            at = _at(each.event)
            if at.stream == last.stream and at <= last and at[1:] > tuple(self._doc["in"].get(at.stream, (0, 0))):
                self._decide(each, own)
                self._doc["in"][at.stream] = [at.epoch, at.seq]

    def _decide(self, each: Input, own: Decoded) -> None:
        context = Context(own.envelope.time, each.event.envelope.id)
        with suppress(Exception):  # it was decided in another world; the event itself tells what came of it
            decision = each.decide(self._doc["state"], each.event, context)
            if decision is not None:
                self._doc["state"] = None if decision.erase else decision.state
                if decision.erase:
                    self._doc["erased"] = own.envelope.time


def _at(event: Decoded) -> Position:
    position = event.envelope.position
    assert position is not None, "an event of a chain's topic stands in a stream"
    return position
