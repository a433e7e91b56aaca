"""What an auditor takes along: a file that a spreadsheet reads without running anything, and one for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.audit.export import Format, rendered

ROWS: list[list[dict[str, Any]]] = [
    [{"index": 0, "who": None}, {"index": 1, "who": 'a,"b"'}],
    [{"index": 2, "who": True}],
]


async def parts(given: list[list[dict[str, Any]]]) -> AsyncIterator[list[dict[str, Any]]]:
    for part in given:
        yield part


async def text(form: Format, given: list[list[dict[str, Any]]]) -> str:
    return "".join([piece async for piece in rendered(form, ["index", "who"], parts(given))])


async def test_csv_has_a_header_and_a_line_for_each_row() -> None:
    written = await text("csv", ROWS)
    assert written.splitlines()[0] == "index,who"
    assert list(csv.reader(io.StringIO(written)))[1:] == [["0", ""], ["1", 'a,"b"'], ["2", "true"]]


async def test_json_is_one_document_with_all_rows() -> None:
    assert json.loads(await text("json", ROWS)) == {"entries": [row for part in ROWS for row in part]}
    assert json.loads(await text("json", [])) == {"entries": []}


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_no_cell_is_a_formula(value: str) -> None:
    written = await text("csv", [[{"index": 0, "who": value}]])
    ((_, cell),) = list(csv.reader(io.StringIO(written, newline="")))[1:]
    assert cell == f"'{value}"


async def test_a_file_that_breaks_off_has_no_end() -> None:
    async def broken() -> AsyncIterator[list[dict[str, Any]]]:
        yield ROWS[0]
        raise ConnectionError

    written: list[str] = []

    async def write() -> None:
        async for piece in rendered("json", ["index", "who"], broken()):
            written.append(piece)

    with pytest.raises(ConnectionError):
        await write()
    assert written
    with pytest.raises(json.JSONDecodeError):
        json.loads("".join(written))
