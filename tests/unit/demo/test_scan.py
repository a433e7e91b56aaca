"""What is planted of people is found wherever it turns up, and nothing else is taken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest

from cli.demo import signals
from cli.demo.people import Person, is_bsn, people, reference
from cli.demo.run import Plan
from cli.demo.scan import Scanner
from cli.demo.world import World

PEOPLE = people(50, Random(1))
SOMEBODY = PEOPLE[7]


def scanner() -> Scanner:
    return Scanner(value for person in PEOPLE for value in person.planted())


@pytest.mark.parametrize("name", ["name", "surname", "bsn", "postcode", "phone", "email"])
@pytest.mark.parametrize(
    "write",
    [
        lambda value: json.dumps({"field": value}),
        lambda value: f"GET /v1/persons?q={quote(value)} HTTP/1.1",
        lambda value: f'hulpketen_requests{{label="{value.upper()}"}} 1.0',
        lambda value: f"ce_subject: {value.lower()}",
        lambda value: value,
    ],
)
def test_each_value_is_found_in_any_dress(name: str, write: Callable[[str], str]) -> None:
    scan = scanner()
    scan.look("somewhere", write(getattr(SOMEBODY, name)).encode())
    assert scan.found
    assert getattr(SOMEBODY, name) not in "".join(scan.found)


@pytest.mark.parametrize(
    "text",
    [
        SOMEBODY.birth_date.isoformat(),
        f"{SOMEBODY.birth_date:%Y%m%d}",
        f"{SOMEBODY.postcode[:4]} {SOMEBODY.postcode[4:]}",
        f"+31{SOMEBODY.phone[1:]}",
        f"00316-{SOMEBODY.phone[2:]}",
        reference(12),
    ],
)
def test_other_forms_are_found(text: str) -> None:
    scan = scanner()
    scan.look("somewhere", f'"{text}"'.encode())
    assert len(scan.found) == 1


def test_digits_within_other_digits_are_not_taken_for_a_person() -> None:
    scan = scanner()
    texts = (f"1{SOMEBODY.bsn}", f"{SOMEBODY.bsn}7", f"a{SOMEBODY.bsn}b", f"17{SOMEBODY.phone[2:]}", "2026-11-02")
    scan.look("somewhere", " ".join(texts).encode())
    scan.look("somewhere", hashlib.sha256(SOMEBODY.bsn.encode()).hexdigest().encode())
    assert scan.found == []


def test_each_place_is_told_once() -> None:
    scan = scanner()
    for where in ("here", "here", "there"):
        scan.look(where, SOMEBODY.email.encode())
    assert scan.found == [f"a name, e-mail address or reference in {where}" for where in ("here", "there")]


def test_files_are_searched_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.demo.scan._CHUNK", 1000)
    (tmp_path / "one.jsonl").write_bytes(b" " * 995 + SOMEBODY.email.encode() + b" " * 2000)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two.log.1").write_text(f"bsn={SOMEBODY.bsn}", encoding="utf-8")
    scan = scanner()
    assert scan.look_in_files(tmp_path) > 3000
    assert sorted(found.partition(" in ")[2].rpartition("/")[2] for found in scan.found) == ["one.jsonl", "two.log.1"]


def test_a_pseudonym_is_found_in_a_file_and_another_id_is_none(tmp_path: Path) -> None:
    pseudonym, event = b"0f8fad5b-d9cb-469f-a165-70867728950e", b"7c9e6679-7425-40de-944b-e07fc1f90ae7"
    (tmp_path / "one.jsonl").write_bytes(b'{"stringValue":"%s"}' % event)
    scan = scanner()
    scan.look_in_files(tmp_path, {pseudonym})
    assert scan.found == []
    (tmp_path / "two.jsonl").write_bytes(b'{"key":"messaging.kafka.message.key","value":"file-%s"}' % pseudonym)
    scan.look_in_files(tmp_path, {pseudonym})
    assert scan.found == [f"a pseudonym in {tmp_path.name}/two.jsonl"]


def test_people_can_be_told_apart() -> None:
    many = people(2_000, Random(1)) + people(2_000, Random(2), "birth", first=2_000)
    for name in ("surname", "bsn", "phone", "email"):
        assert len({getattr(person, name) for person in many}) == len(many)
    assert len({(person.postcode, person.house_number) for person in many}) == len(many)
    assert all(is_bsn(person.bsn) for person in many)


def test_the_same_seed_makes_the_same_people_and_signals() -> None:
    def made(seed: int) -> tuple[list[Person], list[signals.Signal]]:
        plan = Plan(100, seed)
        day = SOMEBODY.birth_date
        return plan.people, signals.make(100, plan.people, day, plan.dice("signals"), World())

    assert made(1) == made(1)
    assert made(1) != made(2)


@pytest.mark.parametrize("count", [10, 11, 60, 500])
def test_signals_leave_nobody_out_and_some_are_bad(count: int) -> None:
    plan = Plan(count, 3)
    made = signals.make(count, plan.people, SOMEBODY.birth_date, plan.dice("signals"), World())
    good = [signal for signal in made if signal.good]
    assert len(made) == len({signal.reference for signal in made}) == count
    assert {signal.person.surname for signal in good} == {person.surname for person in plan.people}
    assert len(good) < count or count < 25


def test_a_file_of_signals_says_the_same_in_both_forms() -> None:
    plan = Plan(60, 3)
    made = signals.make(60, plan.people, SOMEBODY.birth_date, plan.dice("signals"), World())
    lines = signals.as_ndjson(made).splitlines()
    rows = signals.as_csv(made).decode().splitlines()
    assert len(lines) == 60
    assert len(rows) == 61
    assert all(json.loads(line)["reference"] in row for line, row in zip(lines, rows[1:], strict=True))
