"""Reading a DDAS delivery as it streams in: each `vroegsignaal` as soon as it is there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import ijson  # type: ignore[import-untyped]
from ijson.common import ObjectBuilder  # type: ignore[import-untyped]

from services.chassis.problems import FieldError, Problem
from services.intake.domain.ddas import POINTERS, case_oddities, signal_of
from services.intake.reading import Line, Oddities

_DELIVERIES = ["leveringen"]
_DELIVERY = ["leveringen", "item"]
_MUNICIPALITY = [*_DELIVERY, "gemeentecode"]
_SIGNAL = [*_DELIVERY, "vroegsignalen", "item"]
_CASE = [*_DELIVERY, "vroegsignaalzaken", "item"]
_OPENING, _CLOSING = ("start_map", "start_array"), ("end_map", "end_array")
_PIECE = 16_384
_DEEPEST = 16
_MOST_EVENTS = 1_000
_MOST_HELD, _MOST_HELD_BYTES = 5_000, 16_777_216
_EVENT_BYTES = 64
_NO_MUNICIPALITY = FieldError("/gemeentecode", "missing", "The levering has no gemeentecode, or it comes too late")
_TOO_LONG = FieldError("", "too-long", "The record is larger than is taken")
_NO_OBJECT = FieldError("", "no-object", "Must be an object")


class _Record:
    """A record or case in the making; given up once it is larger than `limit`."""

    def __init__(self, limit: int) -> None:
        self._builder = ObjectBuilder()
        self._limit = self._room = limit
        self._events = 0

    def take(self, event: str, value: Any) -> None:
        self._events += 1
        self._room -= len(value) if isinstance(value, str) else 1
        if not self.too_long:
            self._builder.event(event, value)

    @property
    def too_long(self) -> bool:
        return self._room < 0 or self._events > _MOST_EVENTS

    @property
    def size(self) -> int:
        """About what it takes in memory while it is held, in bytes."""
        return self._limit - self._room + self._events * _EVENT_BYTES

    @property
    def value(self) -> Any:
        return self._builder.value


class _Reader:
    """Takes the bytes of a delivery in pieces, and gives its records in their order."""

    def __init__(self, limit: int, oddities: Oddities) -> None:
        self._limit = limit
        self._oddities = oddities
        self._events: Any = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events, use_float=True)
        self._silent = 0
        self._path: list[str] = []
        self._record: _Record | None = None
        self._municipality: str | None = None
        self._held: list[tuple[int, Any]] = []
        self._held_bytes = 0
        self._number = 0
        self._is_delivery = False

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The records that end in this piece. Raises Problem 400 or 413."""
        self._parse(lambda: self._parser.send(piece))
        self._silent = 0 if self._events else self._silent + len(piece)
        if self._silent > max(self._limit, _PIECE):
            raise Problem(413, "One value is larger than a record may be.", type="too-large")
        for event, value in self._events:
            yield from self._take(event, value)
        del self._events[:]

    def end(self) -> Iterator[Line]:
        """What is left. Raises Problem 400 where the JSON is not whole, or no delivery."""
        self._parse(self._parser.close)
        for event, value in self._events:
            yield from self._take(event, value)
        if not self._is_delivery:
            raise Problem(400, "The JSON has no leveringen.", type="no-delivery")

    def _parse(self, work: Any) -> None:
        try:
            work()
        except (ijson.JSONError, ValueError) as error:
            raise Problem(400, "The JSON is broken off or not valid.", type="invalid-json") from error

    def _take(self, event: str, value: Any) -> Iterator[Line]:
        path = self._path
        if event in _CLOSING:
            path.pop()
        elif event == "map_key":
            path[-1] = value
        elif path == _MUNICIPALITY and event == "string":
            self._municipality = value
            yield from self._release()
        elif path in (_SIGNAL, _CASE):
            self._record = _Record(self._limit)
        if self._record:
            self._record.take(event, value)
        ends = event not in _OPENING and event != "map_key"
        if ends and self._record and path in (_SIGNAL, _CASE):
            record, self._record = self._record, None
            yield from self._finished(record, path == _SIGNAL)
        elif ends and path == _DELIVERY:
            yield from self._release()
            self._municipality = None
        if event in _OPENING:
            self._enter(event)

    def _enter(self, event: str) -> None:
        self._is_delivery = self._is_delivery or (event == "start_array" and self._path == _DELIVERIES)
        self._path.append("item" if event == "start_array" else "")
        if len(self._path) > _DEEPEST:
            raise Problem(400, f"Nested deeper than {_DEEPEST}.", type="nesting")

    def _finished(self, record: _Record, is_signal: bool) -> Iterator[Line]:
        if not is_signal:
            if isinstance(record.value, dict) and not record.too_long:
                self._oddities.add(case_oddities(record.value))
            return
        self._number += 1
        self._held.append((self._number, None if record.too_long else record.value))
        self._held_bytes += record.size
        too_many = len(self._held) > _MOST_HELD or self._held_bytes > _MOST_HELD_BYTES
        if self._municipality is not None or too_many:
            yield from self._release()

    def _release(self) -> Iterator[Line]:
        held, self._held, self._held_bytes = self._held, [], 0
        for number, value in held:
            yield self._line(number, value)

    def _line(self, number: int, value: Any) -> Line:
        if not isinstance(value, dict):
            return Line(number, b"", errors=(_TOO_LONG if value is None else _NO_OBJECT,))
        content = json.dumps([self._municipality, value], default=str).encode()
        mapped = signal_of(value, self._municipality or "")
        self._oddities.add(mapped.oddities)
        errors = tuple(FieldError(*refusal) for refusal in mapped.refusals)
        reference = mapped.signal.get("reference")
        if self._municipality is None:
            identifier = value.get("ID")
            reference = identifier if isinstance(identifier, str) else None
            return Line(number, content, None, reference, (*errors, _NO_MUNICIPALITY), POINTERS)
        return Line(number, content, json.dumps(mapped.signal, default=str).encode(), reference, errors, POINTERS)


async def ddas(chunks: AsyncIterator[bytes], limit: int, oddities: Oddities) -> AsyncIterator[Line]:
    """The records of all leveringen, numbered from 1. Raises Problem 400 (not valid, no delivery), 413."""
    reader = _Reader(limit, oddities)
    async for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            for line in reader.feed(chunk[start : start + _PIECE]):
                yield line
    for line in reader.end():
        yield line
