"""What an auditor found, as a file: CSV for a spreadsheet, JSON for programs. Written as it is read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

Format = Literal["csv", "json"]
Row = dict[str, Any]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8; header=present", "json": "application/json"}
# A spreadsheet takes what begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


async def rendered(form: Format, names: Sequence[str], parts: AsyncIterator[Sequence[Row]]) -> AsyncIterator[str]:
    """The file, in parts: rows with these fields. Where reading breaks off, so does the file: its end is missing."""
    pieces = _csv(names, parts) if form == "csv" else _json(parts)
    async for piece in pieces:
        yield piece


async def _csv(names: Sequence[str], parts: AsyncIterator[Sequence[Row]]) -> AsyncIterator[str]:
    yield _lines([names])
    async for rows in parts:
        yield _lines([[_cell(row[name]) for name in names] for row in rows])


async def _json(parts: AsyncIterator[Sequence[Row]]) -> AsyncIterator[str]:
    before = '{"entries": [\n'
    async for rows in parts:
        for row in rows:
            yield before + json.dumps(row)
            before = ",\n"
    yield ("" if before.startswith(",") else before) + "\n]}\n"


def _lines(rows: Sequence[Sequence[str]]) -> str:
    """As RFC 4180 has it."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> str:
    """Never a formula: what would be read as one has an apostrophe in front, as spreadsheets themselves write text."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
