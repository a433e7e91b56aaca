"""Lines of the processing log: one an action, one subject a line at most; and which employee looked, apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hulpketen_contracts import AccessLogged, Event
from opentelemetry.trace import SpanContext, TraceFlags

from services.chassis import telemetry
from services.chassis.auth import Principal
from services.chassis.processing_log import Look, Looks, employee, look_lines

START = datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=UTC)
PERSONS = [f"0f0e0d0c-0b0a-4908-8706-05040302010{n}" for n in range(3)]
LOOK = Look("referral.person.read", "refer-to-help", "maatjes-voorbeeld", PERSONS[:1], START, START.replace(second=1))
CONTEXT = SpanContext(0xABC, 0xDEF, True, TraceFlags(0))


@pytest.fixture
def new_span_id() -> Callable[[], str]:
    numbers = iter(range(1, 100))
    return lambda: f"{next(numbers):016x}"


def test_a_look_at_one_person_is_one_line(new_span_id: Callable[[], str]) -> None:
    (line,) = look_lines(LOOK, "intake", context=CONTEXT, new_span_id=new_span_id)
    assert line.model_dump(exclude_none=True) == {
        "trace_id": f"{0xABC:032x}",
        "span_id": f"{1:016x}",
        "parent_span_id": f"{0xDEF:016x}",
        "status": "Ok",
        "name": "referral.person.read",
        "start_time": 1_795_341_600_250,
        "end_time": 1_795_341_601_250,
        "service": "intake",
        "organisation": "maatjes-voorbeeld",
        "activity": "refer-to-help",
        "subject": PERSONS[0],
    }


def test_a_look_at_several_is_an_action_and_a_child_for_each(new_span_id: Callable[[], str]) -> None:
    action, *children = look_lines(replace(LOOK, subjects=PERSONS), "intake", context=CONTEXT, new_span_id=new_span_id)
    assert action.subject is None
    assert [child.subject for child in children] == PERSONS
    assert {child.parent_span_id for child in children} == {action.span_id}
    assert len({line.span_id for line in (action, *children)}) == 4
    assert {line.trace_id for line in (action, *children)} == {f"{0xABC:032x}"}


def test_a_look_at_nobody_and_outside_any_trace_still_is_a_line() -> None:
    first, second = (look_lines(replace(LOOK, subjects=[]), "intake")[0] for _ in range(2))
    assert first.subject is None
    assert first.parent_span_id is None
    assert first.trace_id != second.trace_id


def test_the_span_under_way_is_the_parent() -> None:
    with telemetry.tracer().start_as_current_span("request"):
        header = telemetry.current_traceparent()
        (line,) = look_lines(LOOK, "intake")
    assert header is not None
    assert header.split("-")[1:3] == [line.trace_id, line.parent_span_id]


SOMEBODY = Principal("maatjes-voorbeeld", frozenset(), frozenset(), "employee-1", START)


class Log:
    """What was stored, one list for each insert."""

    def __init__(self) -> None:
        self.inserts: list[Sequence[Event]] = []
        self.looks = Looks("intake", self.record, lambda: bytes(32), lambda: START)

    async def record(self, events: Sequence[Event]) -> None:
        self.inserts.append(events)


async def test_who_looked_is_stored_with_the_lines_of_the_look_and_leads_to_them_without_naming_a_subject() -> None:
    log = Log()
    began = START - timedelta(seconds=2)
    await log.looks.record("manage-cases", SOMEBODY, PERSONS, name="list-cases", started=began)
    ((*lines, who),) = log.inserts
    whole, *children = lines
    assert [child.model_dump()["subject"] for child in children] == PERSONS
    assert isinstance(who, AccessLogged)
    assert who.model_dump() == {
        "trace_id": whole.model_dump()["trace_id"],
        "span_id": whole.model_dump()["span_id"],
        "looked_at": START,
        "service": "intake",
        "organisation": "maatjes-voorbeeld",
        "employee": employee(bytes(32), SOMEBODY),
        "activity": "manage-cases",
    }
    shown = " ".join(event.model_dump_json() for event in (*lines, who))
    assert SOMEBODY.subject not in shown
    assert all(who.employee not in line.model_dump_json() for line in lines)


@pytest.mark.parametrize("by", [replace(SOMEBODY, machine=True), "maatjes-voorbeeld", None])
async def test_what_a_machine_or_the_chain_itself_looked_at_has_no_employee(by: Principal | str | None) -> None:
    log = Log()
    await log.looks.record("inform-partners", by, name="deliver-lines", feed=(3, 7))
    ((line,),) = log.inserts
    assert {k: v for k, v in line.model_dump().items() if k in ("organisation", "feed_first", "feed_last", "name")} == {
        "organisation": "maatjes-voorbeeld" if by else None,
        "name": "deliver-lines",
        "feed_first": 3,
        "feed_last": 7,
    }


def test_an_employee_has_one_pseudonym_in_an_organisation_and_under_a_key() -> None:
    others = [
        employee(bytes(32), replace(SOMEBODY, subject="employee-2")),
        employee(bytes(32), replace(SOMEBODY, organisation="fonds-voorbeeld")),
        employee(b"1" * 32, SOMEBODY),
    ]
    assert employee(bytes(32), replace(SOMEBODY, scopes=frozenset({"cases:read"}))) == employee(bytes(32), SOMEBODY)
    assert len({employee(bytes(32), SOMEBODY), *others}) == 4
