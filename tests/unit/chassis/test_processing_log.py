"""Lines of the processing log: one an action, one subject a line at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from opentelemetry.trace import SpanContext, TraceFlags

from services.chassis import telemetry
from services.chassis.processing_log import Look, look_lines

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
