"""The log: JSON lines with event names, and no values of exceptions or of libraries' messages."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from services.chassis import logs, telemetry

BSN = "123456782"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("services")
    before = root.handlers[:], root.level, own.level
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    own.setLevel(before[2])
    logging.captureWarnings(False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_time_level_event_service_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    log = logs.get_logger("services.matching.events")
    log.debug("not_written")
    log.info("batch_done", records=500, service="of help")
    (line,) = lines(capsys)
    assert line["time"].endswith("Z")
    assert len(line["time"]) == 24
    del line["time"]
    assert line == {
        "level": "info",
        "event": "batch_done",
        "service": "matching",
        "logger": "services.matching.events",
        "fields": {"records": 500, "service": "of help"},
    }


def test_an_exception_is_its_types_and_places_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    try:
        try:
            int(f"bsn {BSN}")
        except ValueError as error:
            raise RuntimeError(f"person {BSN}") from error
    except RuntimeError as error:
        logs.get_logger("services.test").error("decision_failed", error=error)
    (line,) = lines(capsys)
    assert line["exception"]["types"] == ["RuntimeError", "ValueError"]
    assert any("test_an_exception" in frame for frame in line["exception"]["frames"])
    assert BSN not in json.dumps(line)


def test_of_a_library_the_template_alone_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "debug")
    library = logging.getLogger("library.consumer")
    library.info("nothing below a warning")
    library.warning("cannot read %r", BSN)
    (line,) = lines(capsys)
    assert line["event"] == "library_message"
    assert line["template"] == "cannot read %r"
    assert line["logger"] == "library.consumer"
    assert BSN not in json.dumps(line)


def test_a_line_names_the_trace_under_way(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    with telemetry.tracer().start_as_current_span("work"):
        header = telemetry.current_traceparent()
        logs.get_logger("services.test").warning("slow")
    (line,) = lines(capsys)
    assert header is not None
    assert line["trace_id"] == header[3:35]


def test_what_asyncio_says_of_a_lost_exception_is_told_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")

    async def fail(bsn: str) -> None:
        raise ValueError(f"bsn {bsn}")

    async def lose() -> None:
        task = asyncio.create_task(fail(BSN))
        asyncio.get_running_loop().call_soon(int, f"bsn {BSN}")
        await asyncio.sleep(0.01)
        assert task.done()
        del task
        gc.collect()

    asyncio.run(lose())
    written = lines(capsys)
    assert BSN not in json.dumps(written)
    assert {line["template"] for line in written} == {"Exception in callback int", "Task exception was never retrieved"}


class _Minutes:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_waits_is_said_when_it_begins_each_minute_and_when_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    clock = _Minutes()
    waits = logs.get_logger("services.x").waits("work_waits", "work_failed", clock=clock, work="relay")
    waits.over()
    for _ in range(150):
        waits.say(error=TimeoutError())
        clock.now += 1
    waits.over()
    waits.over()
    said = [(line["level"], line["fields"]) for line in lines(capsys)]
    assert said == [
        *(("warning", {"times": times, "work": "relay"}) for times in (1, 61, 121)),
        ("info", {"over": True, "times": 150, "seconds": 150.0, "work": "relay"}),
    ]


def test_a_fault_of_our_own_is_said_at_once_though_something_waits(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    waits = logs.get_logger("services.x").waits("batch_waits", "batch_failed", clock=_Minutes())
    for failed in (False, True, True):
        waits.say(error=KeyError(BSN), failed=failed)
    assert [(line["level"], line["event"]) for line in lines(capsys)] == [
        ("warning", "batch_waits"),
        ("error", "batch_failed"),
    ]


def test_what_comes_and_goes_within_a_minute_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    waits = logs.get_logger("services.x").waits("send_failed", clock=_Minutes())
    for _ in range(100):
        waits.say()
        waits.over()
    assert [line["fields"].get("over", False) for line in lines(capsys)] == [False, True]


def test_a_library_says_the_same_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("matching", "info")
    for node in range(100):
        logging.getLogger("a.library").warning("Unable to connect to %s", node)
    logging.getLogger("a.library").warning("Another line")
    assert [line["template"] for line in lines(capsys)] == ["Unable to connect to %s", "Another line"]
