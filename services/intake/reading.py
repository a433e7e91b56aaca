"""Reading a delivery as it streams in: NDJSON, CSV or DDAS JSON, line by line, never as a whole."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.chassis.problems import FieldError, Problem
from services.intake.domain import columns

NO_POINTERS: Mapping[str, str] = {}
_REFERENCE = 128
_TOO_LONG = FieldError("", "too-long", "The line is longer than is taken")


class Line(NamedTuple):
    """One line or record: `signal` as JSON, or why it cannot be read. `content` is what it was, for a digest.

    `pointers`: from a field of a signal to the sender's own name of it, where that differs.
    """

    number: int
    content: bytes
    signal: bytes | None = None
    reference: str | None = None
    errors: tuple[FieldError, ...] = ()
    pointers: Mapping[str, str] = NO_POINTERS


@dataclass(slots=True)
class Oddities:
    """What was odd in a delivery but did not keep a line from being taken: (code, pointer) -> how often."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, found: list[tuple[str, str]]) -> None:
        """Count these."""
        self.counts.update(found)

    def answer(self) -> list[dict[str, Any]]:
        """For the answer, the same order each time."""
        return [{"code": code, "pointer": pointer, "count": n} for (code, pointer), n in sorted(self.counts.items())]


async def physical_lines(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Lines with their numbers from 1, without their ends; None for one longer than `limit` bytes."""
    number, rest, skipping = 1, b"", False
    async for chunk in chunks:
        pieces = (rest + chunk).split(b"\n")
        rest = pieces.pop()
        for piece in pieces:
            yield number, None if skipping or len(piece) > limit else piece.removesuffix(b"\r")
            number, skipping = number + 1, False
        if len(rest) > limit:
            rest, skipping = b"", True
    if rest or skipping:
        yield number, None if skipping or len(rest) > limit else rest.removesuffix(b"\r")


async def ndjson(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[Line]:
    """A signal a line; empty lines are passed over."""
    async for number, raw in physical_lines(chunks, limit):
        if raw is None:
            yield Line(number, b"", errors=(_TOO_LONG,))
        elif raw.strip():
            yield Line(number, raw, raw)


async def csv_rows(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[Line]:
    """A signal a row, under a header of known columns; `,` or `;` between cells. Raises Problem 400 on the header."""
    header: _Header | None = None
    async for number, raw in _rows(chunks, limit):
        if raw is None:
            if header is None:
                raise Problem(400, "The first line is longer than is taken.", type="csv-header")
            yield Line(number, b"", errors=(_TOO_LONG,))
        elif header is None:
            header = _Header.read(raw)
        elif raw.strip(b" ,;\r\n"):
            yield header.line(number, raw)
    if header is None:
        raise Problem(400, "The first line must name the columns.", type="csv-header")


async def _rows(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Rows with the number of their first line; a quoted cell may hold line ends."""
    # Only what is new is looked at: a row of very many short lines would cost its length for each of them.
    first, row, is_open = 0, bytearray(), False
    async for number, raw in physical_lines(chunks, limit):
        first = first or number
        too_long = raw is None or len(row) + len(raw) > limit
        row += raw or b""
        is_open ^= (raw or b"").count(b'"') % 2 == 1
        if not too_long and is_open:
            row += b"\n"
            continue
        yield first, None if too_long else bytes(row)
        first, row, is_open = 0, bytearray(), False
    if row:
        yield first, bytes(row)


@dataclass(frozen=True, slots=True)
class _Header:
    delimiter: str
    fields: list[str]
    pointers: dict[str, str]

    @classmethod
    def read(cls, raw: bytes) -> _Header:
        try:
            text = raw.decode("utf-8-sig")
            delimiter = ";" if text.count(";") > text.count(",") else ","
            (names,) = csv.reader([text], delimiter=delimiter, strict=True)
            fields = columns.fields_of(names)
        except (UnicodeDecodeError, csv.Error) as error:
            raise Problem(400, "The first line must name the columns, in UTF-8.", type="csv-header") from error
        except ValueError as error:
            known = ", ".join(columns.COLUMNS)
            raise Problem(400, f"In the first line {error}. Known are: {known}.", type="csv-header") from error
        pointers = {"/" + each.replace(".", "/"): f"/{name.strip()}" for each, name in zip(fields, names, strict=True)}
        return cls(delimiter, fields, pointers)

    def line(self, number: int, raw: bytes) -> Line:
        try:
            (cells,) = csv.reader(raw.decode().splitlines(keepends=True), delimiter=self.delimiter, strict=True)
        except UnicodeDecodeError:
            wrong = FieldError("", "not-utf-8", "Must be text in UTF-8")
            return Line(number, raw, None, self._reference(raw), (wrong,))
        except (csv.Error, ValueError):
            return Line(number, raw, errors=(FieldError("", "not-csv", "Is not a row of CSV"),))
        if len(cells) != len(self.fields):
            wrong = FieldError("", "columns", "Has another number of cells than the first line")
            return Line(number, raw, errors=(wrong,))
        signal = columns.signal_of(self.fields, cells)
        return Line(number, raw, json.dumps(signal).encode(), signal.get("reference"), pointers=self.pointers)

    def _reference(self, raw: bytes) -> str | None:
        """The reference of a row that is not all UTF-8, where it is itself and the row has as many cells as it must."""
        try:
            (cells,) = csv.reader(_lenient(raw).splitlines(keepends=True), delimiter=self.delimiter, strict=True)
        except (csv.Error, ValueError):
            return None
        if len(cells) != len(self.fields):
            return None
        return _readable(dict(zip(self.fields, cells, strict=True)).get("reference", "").strip())


def reference_of(raw: bytes) -> str | None:
    """The sender's reference in a line that was refused, where it can be read."""
    try:
        value = json.loads(_lenient(raw))
    except (ValueError, RecursionError):
        return None
    return _readable(value.get("reference") if isinstance(value, dict) else None)


def _lenient(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _readable(reference: Any) -> str | None:
    """The reference where it can be read, and is one: what was no UTF-8 in it is no more what the sender wrote."""
    if not isinstance(reference, str) or not 0 < len(reference) <= _REFERENCE or not reference.isprintable():
        return None
    return None if "\ufffd" in reference else reference
