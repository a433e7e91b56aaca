"""A delivery: batch by batch, each line taken or refused, and an answer that grows with the refused lines alone."""

from __future__ import annotations

import asyncio
import hmac
import json
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services.chassis.pipeline.errors import KeyReused
from services.chassis.problems import FieldError, Problem
from services.intake import metrics
from services.intake.bodies import parse
from services.intake.domain.basis import Sender
from services.intake.domain.signal import SignalIn
from services.intake.reading import Line, Oddities, reference_of
from services.intake.store import IntakeStore
from services.intake.taking import Desk, Taken, explain

# While the database writes one batch, the next one is read and checked.
_AT_ONCE = 2
_PIECE = 65_536
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


class _Done(NamedTuple):
    """A batch: how many lines it had, and those that were refused, with the reasons."""

    lines: int
    refused: list[tuple[Line, Sequence[FieldError]]]


class _Packed:
    """A list of JSON values, compressed as it grows: refused lines are much alike, and there may be very many."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(1)
        self._content = bytearray()
        self._empty = True

    def add(self, value: bytes) -> None:
        self._content += self._compressor.compress(value if self._empty else b", " + value)
        self._empty = False

    def pieces(self) -> Iterator[bytes]:
        """All of it, joined by commas; after this nothing can be added."""
        self._content += self._compressor.flush()
        decompressor = zlib.decompressobj()
        rest = bytes(self._content)
        while rest:
            yield decompressor.decompress(rest, _PIECE)
            rest = decompressor.unconsumed_tail


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
        self._refused = _Packed()

    async def take(self, lines: AsyncIterator[Line], size: int, most: int) -> None:
        """Take all lines, `size` at once. Raises Problem 413 beyond `most` lines, KeyReused, StoreUnavailable."""
        under_way: deque[asyncio.Task[_Done]] = deque()
        try:
            if self._batches:
                await self._batches.open()
            async for batch in _batched(lines, size, most):
                if self._batches:
                    await self._batches.next(batch)
                under_way.append(asyncio.create_task(self._batch(batch)))
                if len(under_way) == _AT_ONCE:
                    self._note(await under_way.popleft())
            await self._rest(under_way)
            if self._batches:
                await self._batches.end()
        except Problem as problem:
            await self._rest(under_way)
            problem.extensions |= {"lines": self._lines, "taken": self._taken}
            raise
        finally:
            # What has begun is finished: its lines are taken or refused, not left in the middle.
            await asyncio.gather(*under_way, return_exceptions=True)

    def answer(self, oddities: Oddities) -> Iterator[bytes]:
        """Pieces of the JSON {"lines", "taken", "warnings", "refused": [{"line", "reference", "reasons"}]}"""
        counts = {"lines": self._lines, "taken": self._taken, "warnings": oddities.answer()}
        yield json.dumps(counts).encode()[:-1] + b', "refused": ['
        yield from self._refused.pieces()
        yield b"]}"

    async def _rest(self, under_way: deque[asyncio.Task[_Done]]) -> None:
        while under_way:
            self._note(await under_way.popleft())

    async def _batch(self, lines: Sequence[Line]) -> _Done:
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
        refused += [
            (line, _reasons(each)) for (line, _), each in zip(good, taken, strict=True) if each.result != "taken"
        ]
        return _Done(len(lines), sorted(refused, key=lambda pair: pair[0].number))

    def _note(self, done: _Done) -> None:
        self._lines += done.lines
        taken = done.lines - len(done.refused)
        self._taken += taken
        metrics.delivery_lines.labels("taken").inc(taken)
        metrics.delivery_lines.labels("refused").inc(len(done.refused))
        for line, errors in done.refused:
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
        self._refused.add(json.dumps(entry).encode())


async def _batched(lines: AsyncIterator[Line], size: int, most: int) -> AsyncIterator[list[Line]]:
    """Lines in batches. Raises Problem 413 beyond `most`, once those up to it have been given."""
    batch: list[Line] = []
    count = 0
    async for line in lines:
        if count == most:
            if batch:
                yield batch
            raise Problem(413, f"More than {most} lines.", type="too-many-lines")
        batch.append(line)
        count += 1
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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
