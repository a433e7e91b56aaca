"""How a DDAS file with several municipalities is split, and that no record goes missing by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.demo import ddas
from deploy.local.errors import StackError


def levering(code: Any, *ids: str) -> dict[str, Any]:
    return {"gemeentecode": code, "vroegsignalen": [{"ID": id} for id in ids]}


def test_each_municipality_gets_its_own_and_the_rest_of_the_file() -> None:
    file = {"leveringen": [levering("0106", "a"), levering("9901", "b", "c"), levering("0106", "d")], "other": 1}
    first, second = ddas.split(file)
    assert (first.municipality, first.records) == ("0106", [1, 4])
    assert (second.municipality, second.records) == ("9901", [2, 3])
    assert first.delivery == {"leveringen": [levering("0106", "a"), levering("0106", "d")], "other": 1}


@pytest.mark.parametrize("code", [None, 106, "106", "Assen", "01065"])
def test_what_names_no_municipality_is_delivered_by_nobody(code: Any) -> None:
    (part,) = ddas.split({"leveringen": [levering(code, "a")]})
    assert (part.municipality, part.records) == ("0000", [1])


@pytest.mark.parametrize("odd", [1, None, [], {}, {"vroegsignalen": None}, {"vroegsignalen": {"ID": "a"}}])
def test_what_is_no_levering_has_no_records(odd: Any) -> None:
    assert [part.records for part in ddas.split({"leveringen": [odd]})] == [[]]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"leveringen": {}}', "\x00", "[" * 100_000])
def test_a_file_that_is_no_delivery_is_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(StackError) as raised:
        ddas.read(file)
    assert len(str(raised.value).splitlines()) == 1


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps({"leveringen": []}), encoding="utf-8-sig")
    assert ddas.read(file) == {"leveringen": []}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StackError):
        ddas.read(tmp_path)
