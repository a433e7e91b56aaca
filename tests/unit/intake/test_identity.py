"""Who is it about: what leads to one person, and what a human decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain.identity import Found, Known, Trace, claims, note, resolve


@pytest.fixture
def names() -> Iterator[str]:
    return (f"p{n}" for n in count(1))


def birth(day: str, place: str = "home") -> Trace:
    return Trace("birth", f"birth/{place}/{day}", place)


def surname(name: str, place: str = "home") -> Trace:
    return Trace("surname", f"surname/{place}/{name}", place)


def found(known: Known, names: Iterator[str], *traces: Trace) -> Found:
    return resolve(traces, known, lambda: next(names))


def test_both_ways_lead_to_the_person(names: Iterator[str]) -> None:
    known = Known()
    person = found(known, names, birth("1980"), surname("A")).person
    assert found(known, names, birth("1980")) == Found(person)
    assert found(known, names, surname("A")) == Found(person)


def test_a_birth_date_joins_who_was_known_by_name(names: Iterator[str]) -> None:
    known = Known()
    person = found(known, names, surname("A")).person
    assert found(known, names, birth("1980"), surname("A")) == Found(person)
    assert found(known, names, birth("1980")) == Found(person)


def test_a_parent_and_child_of_one_name_are_two(names: Iterator[str]) -> None:
    known = Known()
    parent = found(known, names, birth("1970"), surname("A")).person
    child = found(known, names, birth("2000"), surname("A"))
    assert child.person != parent
    assert child.candidates == ()
    by_name = found(known, names, surname("A"))
    assert by_name.candidates == (parent, child.person)
    assert by_name.person not in by_name.candidates


def test_who_moved_is_the_same(names: Iterator[str]) -> None:
    known = Known()
    person = found(known, names, birth("1970"), surname("A")).person
    note(person, [birth("1970", "flat")], known)
    assert found(known, names, birth("1970", "flat"), surname("A", "flat")) == Found(person)


def test_two_ways_to_different_persons_are_for_a_human(names: Iterator[str]) -> None:
    known = Known()
    one = found(known, names, birth("1970")).person
    other = found(known, names, surname("B")).person
    conflict = found(known, names, birth("1970"), surname("B"))
    assert conflict.candidates == (one, other)
    assert known.led[birth("1970").hash] == [one]


@pytest.mark.parametrize("decided", ["one", "other", "neither"])
def test_what_a_human_decided_holds(names: Iterator[str], decided: str) -> None:
    known = Known()
    one = found(known, names, birth("1970")).person
    other = found(known, names, surname("B")).person
    conflict = found(known, names, birth("1970"), surname("B"))
    person = {"one": one, "other": other, "neither": conflict.person}[decided]
    note(person, [birth("1970"), surname("B")], known)
    assert found(known, names, birth("1970"), surname("B")) == Found(person)


RECORDS = st.lists(
    st.tuples(st.sampled_from(["1970", "1980", None]), st.sampled_from(["A", "B", None])).filter(any), max_size=12
)


@given(RECORDS)
def test_the_same_record_again_is_the_same_person_or_for_a_human(records: list[tuple[str | None, str | None]]) -> None:
    known, names = Known(), (f"p{n}" for n in count(1))
    for day, name in records:
        traces = [*([birth(day)] if day else []), *([surname(name)] if name else [])]
        first = found(known, names, *traces)
        again = found(known, names, *traces)
        if not first.candidates:
            assert again == Found(first.person)
        # With a birth date nobody is ever taken for somebody with another one.
        if day and not first.candidates:
            assert known.births[first.person]["home"] == birth(day).hash


def test_the_strongest_claims_go_first_and_none_twice() -> None:
    records: Sequence[tuple[Sequence[Trace], Found]] = [
        ([birth("1970"), surname("A")], Found("p1")),
        ([birth("1970")], Found("p1")),
        ([surname("C")], Found("p2")),
        ([birth("1990"), surname("A")], Found("p9", ("p1", "p2"))),
    ]
    first, second = claims(records, {"surname/home/C": ["p2"]})
    assert [(claim.trace.hash, claim.person) for claim in first] == [("birth/home/1970", "p1")]
    assert [(claim.trace.hash, claim.person) for claim in second] == [("surname/home/A", "p1")]
