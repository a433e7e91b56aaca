"""Reading a delivery in pieces: however it is cut, the lines are the same."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.problems import Problem
from services.intake.domain import columns, ddas
from services.intake.reading import Line, Oddities, csv_rows, ndjson, reference_of
from services.intake.reading_ddas import ddas as read_ddas

LIMIT = 200


async def pieces(content: bytes, sizes: Sequence[int]) -> AsyncIterator[bytes]:
    start, turn = 0, 0
    while start < len(content):
        size = sizes[turn % len(sizes)]
        yield content[start : start + size]
        start, turn = start + size, turn + 1


def read(reader: Callable[[AsyncIterator[bytes]], AsyncIterator[Line]], content: bytes, sizes: Sequence[int]) -> Any:
    async def all_lines() -> Any:
        try:
            return [line async for line in reader(pieces(content, sizes))]
        except Problem as problem:
            return problem.status

    return asyncio.run(all_lines())


SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=4)
CELL = st.text(st.sampled_from('ab"\n; ,'), max_size=6)


@given(st.lists(st.binary(max_size=260).filter(lambda line: b"\n" not in line), max_size=8), SIZES)
@settings(max_examples=50)
def test_ndjson_is_cut_at_its_line_ends(lines: list[bytes], sizes: list[int]) -> None:
    found = read(lambda chunks: ndjson(chunks, LIMIT), b"\n".join(lines), sizes)
    whole = {n: line.removesuffix(b"\r") for n, line in enumerate(lines, 1) if line.strip() and len(line) <= LIMIT}
    assert {line.number: line.content for line in found if not line.errors} == whole
    assert {line.number for line in found if line.errors} == {n for n, line in enumerate(lines, 1) if len(line) > LIMIT}


@given(st.lists(st.tuples(CELL, CELL), max_size=6), SIZES)
@settings(max_examples=50)
def test_csv_rows_are_whole_however_they_are_cut(rows: list[tuple[str, str]], sizes: list[int]) -> None:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    content = "reference,surname\n" + "".join(f"{cell(a)},{cell(b)}\n" for a, b in rows)
    found = read(lambda chunks: csv_rows(chunks, LIMIT), content.encode(), sizes)
    wanted = [columns.signal_of(["reference", "client.surname"], row) for row in rows]
    assert [json.loads(line.signal or b"{}") for line in found] == wanted


def delivery(count: int) -> bytes:
    signals = [{"ID": f"s{n}", "client": {"postcode": "1234AB", "huisnummer": "1"}} for n in range(count)]
    deliveries = [
        {"teller": 1, "gemeentecode": "0106", "vroegsignalen": signals, "vroegsignaalzaken": [{"resultaat": "x"}]},
        {"teller": 2, "vroegsignalen": [*signals, 7, ["x"], {"ID": "y" * 300}], "gemeentecode": "9901"},
        {"teller": 3, "vroegsignalen": [{"ID": "z"}]},
    ]
    return json.dumps({"codeGegevensleverancier": "L", "leveringen": deliveries}).encode()


@given(st.integers(0, 4), SIZES)
@settings(max_examples=30)
def test_a_ddas_delivery_is_read_record_by_record(count: int, sizes: list[int]) -> None:
    oddities = Oddities()
    found = read(lambda chunks: read_ddas(chunks, LIMIT, oddities), delivery(count), sizes)
    assert [line.number for line in found] == list(range(1, 2 * count + 5))
    assert [line.reference for line in found[:count]] == [f"0106/s{n}" for n in range(count)]
    assert [line.reference for line in found[count : 2 * count]] == [f"9901/s{n}" for n in range(count)]
    assert [[error.code for error in line.errors] for line in found[2 * count :]] == [
        ["no-object"],
        ["no-object"],
        ["too-long"],
        ["missing"],
    ]
    assert oddities.answer() == [{"code": "case-not-imported", "pointer": "/vroegsignaalzaken", "count": 1}]


@given(st.integers(1, 400), SIZES)
@settings(max_examples=30)
def test_a_broken_ddas_delivery_is_refused(cut: int, sizes: list[int]) -> None:
    content = delivery(1)
    assert (
        read(lambda chunks: read_ddas(chunks, LIMIT, Oddities()), content[: -min(cut, len(content) - 1)], sizes) == 400
    )


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b'"' + b"x" * 99_999, 413),
    ],
)
def test_what_is_no_ddas_delivery(content: bytes, status: int) -> None:
    assert read(lambda chunks: read_ddas(chunks, LIMIT, Oddities()), content, [50_000]) == status


def test_statuses_of_the_model() -> None:
    def codes(status: Any) -> list[str]:
        return [code for _, code, _ in ddas.signal_of({"ID": "a", "status": status}, "0106").refusals]

    assert all(codes(status) == [] for status in ddas.OPEN)
    assert all(codes(status) == ["already-closed"] for status in ddas.CLOSED)
    assert codes("Onbekend") == codes(["x"]) == codes({}) == ["unknown-status"]


@given(
    st.dictionaries(
        st.sampled_from(["ID", "client", "bedrag", "status", "x", "signaalpartner"]),
        st.none() | st.text() | st.lists(st.integers()),
    )
)
def test_any_record_maps_to_something(record: dict[str, Any]) -> None:
    mapped = ddas.signal_of(record, "0106")
    assert mapped.signal["municipality"] == "0106"


@pytest.mark.parametrize(
    ("line", "reference"),
    [
        (b'{"reference": "k1"}', "k1"),
        (b'{"reference": 1}', None),
        (b'{"reference": "a\\u0000"}', None),
        (b"[" * 100_000, None),
        (b"\xff", None),
        (b'{"reference": "k1", "x": "\xe9"}', "k1"),
        (b'{"reference": "k\xe9"}', None),
        (b'{"reference": ""}', None),
        (b"[]", None),
    ],
)
def test_the_reference_of_a_refused_line(line: bytes, reference: str | None) -> None:
    assert reference_of(line) == reference


@pytest.mark.parametrize("header", [["x"], ["reference", "kenmerk"], ["bsn", "BSN"]])
def test_columns_that_are_not_known_or_come_twice(header: list[str]) -> None:
    with pytest.raises(ValueError, match="not known or come"):
        columns.fields_of(header)


def test_every_column_has_a_field_of_a_signal() -> None:
    english, dutch = list(columns.COLUMNS), [name for _, name in columns.COLUMNS.values()]
    assert columns.fields_of(english) == columns.fields_of(dutch)


def test_a_row_of_very_many_lines_costs_its_length_and_no_more() -> None:
    row = b'"' + b"\n" * 60_000 + b'"\n'
    began = time.process_time()
    found = read(lambda chunks: csv_rows(chunks, 65_536), b"kenmerk,achternaam\n" + row * 4, [65_536])
    assert [line.number for line in found] == [2, 60_003, 120_004, 180_005]
    assert time.process_time() - began < 5


def test_a_ddas_delivery_whose_municipality_comes_late_holds_little() -> None:
    record = json.dumps({"ID": "s", "x": "x" * 60_000})
    content = f'{{"leveringen": [{{"vroegsignalen": [{", ".join([record] * 400)}], "gemeentecode": "0106"}}]}}'

    async def held() -> list[int]:
        """The sizes of the batches in which records that were held came free, and what came after."""
        came: list[int] = []

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in pieces(content.encode(), [65_536]):
                came.append(0)
                yield chunk

        async for _ in read_ddas(chunks(), 65_536, Oddities()):
            came[-1] += 1
        return came

    sizes = asyncio.run(held())
    assert sum(sizes) == 400
    assert 0 < max(sizes) < 300


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        (b"k-1;Jos\xe9", "k-1"),
        (b'"k;1";"Jos\xe9"', "k;1"),
        (b"k\xe91;Jos", None),
        (b"k-1;Jos\xe9;0612345678", None),
        (b"Jos\xe9", None),
        (b'k-1;"Jos\xe9"x', None),
        (b";Jos\xe9", None),
    ],
)
def test_a_row_that_is_not_utf_8_has_its_number_and_its_reference_where_that_can_be_read(
    row: bytes, reference: str | None
) -> None:
    content = b"kenmerk;achternaam\nk-0;Jansen\n" + row + b"\nk-2;Jansen\n"
    found = read(lambda chunks: csv_rows(chunks, LIMIT), content, [7])
    assert [line.number for line in found] == [2, 3, 4]
    assert [line.reference for line in found] == ["k-0", reference, "k-2"]
    assert [[error.code for error in line.errors] for line in found] == [[], ["not-utf-8"], []]
