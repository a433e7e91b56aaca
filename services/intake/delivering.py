"""A delivery: batch by batch, each line taken or refused, and an answer that grows with the refused lines alone."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.chassis.pipeline.errors import KeyReused
from services.chassis.problems import FieldError, Problem
from services.intake.bodies import parse
from services.intake.domain.basis import Sender
from services.intake.domain.signal import SignalIn
from services.intake.reading import Line, Oddities, reference_of
from services.intake.store import IntakeStore
from services.intake.taking import Desk, Taken, explain

_DIFFERS = FieldError("/reference", "reference-reused", "The reference was used for another content")


class Batches:
    """What an idempotency key of a delivery stands for: the digests of its batches, in their order."""

    def __init__(self, store: IntakeStore, name: str, digest_key: bytes, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._name = name
        self._key = digest_key
        self._clock = clock
        self._before: Sequence[str] = ()
        self._done = False
        self._index = 0

    async def open(self) -> None:
        """Look what a delivery under this key held before."""
        before = await self._store.delivery(self._name) or {"batches": [], "done": False}
        self._before, self._done = before["batches"], before["done"]

    async def next(self, lines: Sequence[Line]) -> None:
        """Note a batch that is about to be taken. Raises KeyReused where another one stood in its place before."""
        digest = hmac.new(self._key, digestmod="sha256")
        for line in lines:
            digest.update(b"%d %d\n" % (line.number, len(line.content)))
            digest.update(line.content)
        if self._index == len(self._before) and not self._done:
            if not await self._store.note_batch(self._name, self._index, digest.hexdigest(), self._clock()):
                await self.open()
            else:
                self._before = [*self._before, digest.hexdigest()]
        if self._index >= len(self._before) or self._before[self._index] != digest.hexdigest():
            raise KeyReused
        self._index += 1

    async def end(self) -> None:
        """The delivery ended. Raises KeyReused where the one before held more."""
        if self._index < len(self._before):
            raise KeyReused
        await self._store.end_delivery(self._name)


class Delivery:
    """Takes the lines of one delivery of one sender."""

    def __init__(
        self,
        desk: Desk,
        organisation: str,
        sender: Sender | None,
        batches: Batches | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._desk = desk
        self._organisation = organisation
        self._sender = sender
        self._batches = batches
        self._clock = clock
        self._lines = 0
        self._taken = 0
        # As text: 100,000 refused lines as objects would take a hundred megabytes.
        self._refused = bytearray()

    async def take(self, lines: AsyncIterator[Line], size: int, most: int) -> None:
        """Take all lines, `size` at once. Raises Problem 413 beyond `most` lines, KeyReused, StoreUnavailable."""
        batch: list[Line] = []
        try:
            if self._batches:
                await self._batches.open()
            async for line in lines:
                if self._lines + len(batch) == most:
                    await self._batch(batch)
                    batch = []
                    raise Problem(413, f"More than {most} lines.", type="too-many-lines")
                batch.append(line)
                if len(batch) == size:
                    await self._batch(batch)
                    batch = []
            await self._batch(batch)
        except Problem as problem:
            problem.extensions |= {"lines": self._lines, "taken": self._taken}
            raise
        if self._batches:
            await self._batches.end()

    def answer(self, oddities: Oddities) -> bytes:
        """The answer as JSON: {"lines", "taken", "warnings", "refused": [{"line", "reference", "reasons"}]}."""
        counts = {"lines": self._lines, "taken": self._taken, "warnings": oddities.answer()}
        return json.dumps(counts).encode()[:-1] + b', "refused": [' + bytes(self._refused) + b"]}"

    async def _batch(self, lines: Sequence[Line]) -> None:
        if not lines:
            return
        if self._batches:
            await self._batches.next(lines)
        now = self._clock()
        good: list[tuple[Line, SignalIn]] = []
        refused: list[tuple[Line, Sequence[FieldError]]] = []
        for line in lines:
            found = parse(SignalIn, line.signal, now) if line.signal else []
            if isinstance(found, list) or line.errors:
                refused.append((line, [*line.errors, *(found if isinstance(found, list) else ())]))
            else:
                good.append((line, found))
        taken = await self._desk.take(self._organisation, self._sender, [signal for _, signal in good])
        for (line, _), each in zip(good, taken, strict=True):
            if each.result == "taken":
                self._taken += 1
            else:
                refused.append((line, _reasons(each)))
        self._lines += len(lines)
        for line, errors in sorted(refused, key=lambda pair: pair[0].number):
            self._refuse(line, errors)

    def _refuse(self, line: Line, errors: Sequence[FieldError]) -> None:
        reference = line.reference if line.reference is not None else reference_of(line.signal or b"")
        entry = {
            "line": line.number,
            "reference": reference,
            "reasons": [
                {"code": error.code, "pointer": _pointer(error.pointer, line.pointers), "message": error.message}
                for error in errors
            ],
        }
        self._refused += (b", " if self._refused else b"") + json.dumps(entry).encode()


def _reasons(taken: Taken) -> list[FieldError]:
    if taken.result == "differs":
        return [_DIFFERS]
    return [FieldError(*reason) for reason in explain(taken.reasons)]


def _pointer(pointer: str, names: Mapping[str, str]) -> str:
    return names.get(pointer, pointer)


def answer_shape() -> dict[str, Any]:
    """The JSON Schema of the answer."""
    text: dict[str, Any] = {"type": "string"}
    number: dict[str, Any] = {"type": "integer"}
    reason = {"type": "object", "properties": {"code": text, "pointer": text, "message": text}}
    line = {
        "type": "object",
        "properties": {
            "line": number,
            "reference": {"type": ["string", "null"]},
            "reasons": {"type": "array", "items": reason},
        },
    }
    warning = {"type": "object", "properties": {"code": text, "pointer": text, "count": number}}
    return {
        "type": "object",
        "properties": {
            "lines": number,
            "taken": number,
            "refused": {"type": "array", "items": line},
            "warnings": {"type": "array", "items": warning},
        },
    }
