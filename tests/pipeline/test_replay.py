"""What a replay of a dead letter says is so: applied, or not applied and still held."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hulpketen_contracts import Decoded, Envelope, Position, SignalRefused, encode

from services.chassis.operations import Operations, StillDead
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Context, DeadLetter, Decision, Handler, Handlers, Record, State
from services.chassis.pipeline.ports import Document
from services.chassis.service import now
from tests.pipeline.pairs import TOO_LARGE, Stores

GROUP, STREAM, FILE = "matching", "signal-1", "file-1"
SOURCE = "urn:nld:oin:00000099000000000001:systeem:hulpketen-test"


class Untold:
    """A span that nobody looks at, and a publisher of nothing."""

    traceparent = None

    def end(self, error: str | None = None) -> None: ...

    async def publish(self, documents: Sequence[Document]) -> None: ...


class Service:
    """It applies a signal's events to one file; those labelled poison or huge fail until it is `mended`."""

    def __init__(self, stores: Stores) -> None:
        self.mended = False
        self.stores = stores
        store = stores.store
        engine = Engine(store, Untold(), group=GROUP, source=SOURCE, clock=now, incarnation=_one, spawn=cast(Any, None))
        handlers: Handlers = {SignalRefused: Handler(lambda _: FILE, self._decide)}
        self._consumer = Consumer(
            engine, store, handlers, group=GROUP, incarnation=_one, start_span=lambda _, __: Untold()
        )
        self.handle = self._consumer.handle
        self.operations = Operations(
            GROUP, cast(Any, store), cast(Any, stores.letters), self.handle, self._consumer.let_through
        )

    def _decide(self, state: State | None, decoded: Decoded, _: Context) -> Decision:
        assert isinstance(decoded.data, SignalRefused)
        (label,) = decoded.data.reasons
        if label == "poison" and not self.mended:
            raise ValueError
        grown: State = {"applied": [*(state or {}).get("applied", ()), label]}
        if "huge" in grown["applied"] and not self.mended:
            grown["bytes"] = b"x" * TOO_LARGE
        return Decision(grown)

    async def applied(self) -> list[str]:
        document = (await self.stores.store.load([FILE])).get(FILE)
        return list((document["state"] or {}).get("applied", ())) if document else []

    async def letters(self) -> list[str]:
        return [letter["_id"] for letter in await self.stores.letters.page(10, None)]


@pytest.fixture
def service(stores: Stores) -> Service:
    return Service(stores)


@pytest.mark.parametrize("bad", ["poison", "huge"])
async def test_a_replay_before_the_cause_is_mended_keeps_the_letter(service: Service, bad: str) -> None:
    await service.handle([_signal(1, bad)])
    (letter,) = await service.letters()
    with pytest.raises(StillDead, match="could not be applied this time either"):
        await service.operations.replay(letter)
    assert await service.letters() == [letter]
    service.mended = True
    await service.operations.replay(letter)
    assert (await service.applied(), await service.letters()) == ([bad], [])


@pytest.mark.parametrize("bad", ["poison", "huge"])
async def test_a_replay_lets_through_what_waited_behind_it(service: Service, bad: str) -> None:
    await service.handle([_signal(1, "first"), _signal(2, bad), _signal(3, "third")])
    await service.handle([_signal(4, "fourth")])
    assert await service.applied() == ["first"]
    service.mended = True
    (letter,) = await service.letters()
    await service.operations.replay(letter)
    assert await service.applied() == ["first", bad, "third", "fourth"]


async def test_a_replay_out_of_turn_says_so_and_keeps_the_letter(service: Service) -> None:
    await service.handle([_signal(2, "second")])
    await service.stores.store.bury(GROUP, "one", [DeadLetter(_signal(2, "second"), _at(2), "invalid", "")])
    (letter,) = await service.letters()
    with pytest.raises(StillDead, match="Its turn has not come"):
        await service.operations.replay(letter)
    assert (await service.applied(), await service.letters()) == ([], [letter])
    await service.handle([_signal(1, "first")])
    await service.operations.replay(letter)
    assert (await service.applied(), await service.letters()) == (["first", "second"], [])


async def test_what_waits_is_told_apart_from_what_failed_and_from_what_was_applied(service: Service) -> None:
    records = [_signal(1, "first"), _signal(2, "poison"), _signal(3, "third")]
    left = await service.handle(records)
    assert [(letter.record, letter.reason) for letter in left] == [
        (records[1], "decision-failed"),
        (records[2], "waits"),
    ]
    assert await service.handle(records[:1]) == []
    assert len(await service.letters()) == 1


def _one() -> str:
    return "one"


def _at(seq: int) -> Position:
    return Position(STREAM, 1, seq)


def _signal(seq: int, label: str) -> Record:
    event = SignalRefused(signal=str(uuid.UUID(int=1)), sender="sender", reasons=[label])
    envelope = Envelope(
        id=str(uuid.uuid4()),
        source=SOURCE,
        type=event.TYPE,
        time=now(),
        stream=STREAM,
        streamepoch=1,
        streamseq=seq,
    )
    topic, key, headers, value = encode(event, envelope)
    return Record(topic, 0, seq, key, value, tuple(headers))
