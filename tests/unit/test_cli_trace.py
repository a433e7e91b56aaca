"""`hulpketen trace`: finds by any id and draws causes above effects."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.spans import Span, find, in_order, once
from cli.trace import waterfall

REFERRAL = "0f8fad5b-d9cb-469f-a165-70867728950e"


def line(service: str, *spans: dict[str, Any]) -> str:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}) + "\n"


def span(id: str, parent: str, start: int, end: int, trace: str = "t1", **attributes: str) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": id,
        "parentSpanId": parent,
        "name": f"span {id}",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": [{"key": k.replace("_", "."), "value": {"stringValue": v}} for k, v in attributes.items()],
    }


def write(folder: Path) -> None:
    (folder / "matching-1.jsonl").write_text(line("matching", span("a", "", 1_000_000, 9_000_000)))
    follows = span("b", "a", 4_000_000, 5_000_000, cloudevents_event_subject=REFERRAL)
    other = span("z", "", 0, 1, trace="t2", cloudevents_event_subject="another")
    (folder / "audit-2.jsonl").write_text(line("audit", follows) + line("audit", other) + '{"resourceSpans":[{"half')


def test_a_subject_leads_to_its_whole_trace(tmp_path: Path) -> None:
    write(tmp_path)
    traces = find(tmp_path, REFERRAL)
    assert list(traces) == ["t1"]
    assert [(depth, found.id, found.service) for depth, found in in_order(traces["t1"])] == [
        (0, "a", "matching"),
        (1, "b", "audit"),
    ]


def test_a_trace_is_found_by_its_own_id_and_an_unknown_id_is_not(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(find(tmp_path, "t2")) == ["t2"]
    assert find(tmp_path, "nothing") == {}


def test_the_waterfall_shows_each_span_where_it_was_in_time(tmp_path: Path) -> None:
    write(tmp_path)
    first, second = lines(tmp_path, 120)
    assert first.index("█") < second.index("█")
    assert first.count("█") > second.count("█")
    assert second.split()[:5] == ["span", "b", "audit", "3.0", "1.0"]


def test_the_bars_are_as_long_as_the_terminal_has_room_for(tmp_path: Path) -> None:
    write(tmp_path)
    narrow, wide = lines(tmp_path, 60)[0], lines(tmp_path, 120)[0]
    assert 0 < narrow.count("█") < wide.count("█")
    assert "…" not in narrow + wide


def test_a_record_that_came_again_does_not_stretch_the_bars(tmp_path: Path) -> None:
    write(tmp_path)
    weeks = 21 * 86_400 * 10**9
    event = {"messaging_message_id": "e1"}
    deliveries = [
        span(id, "a", start, start + 1_000_000, **event) | {"name": "process c"}
        for id, start in (("c", 2_000_000), ("d", weeks), ("e", 2 * weeks))
    ]
    (tmp_path / "matching-3.jsonl").write_text(line("matching", *deliveries))
    shown = lines(tmp_path, 120, 5)
    assert [row.split()[1] for row in shown[1:4]] == ["a", "c", "b"]
    assert shown[-1].strip() == "2 deliveries of the same record left out"


def test_a_delivery_from_which_something_followed_is_shown_and_so_is_another_reader_of_the_record() -> None:
    def processed(id: str, start: int, service: str = "matching", parent: str = "a") -> Span:
        attributes = {"messaging.message.id": "e1"}
        return Span("t1", id, parent, "process signals", service, start, start + 1, failed=False, attributes=attributes)

    spans = [processed("b", 1), processed("c", 2), processed("d", 3, "audit"), processed("e", 4, parent="c")]
    kept, again = once([*spans, processed("f", 5)])
    assert ([each.id for each in kept], again) == (["b", "c", "d", "e"], 1)


def lines(folder: Path, width: int, last: int = 2) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(waterfall("t1", find(folder, REFERRAL)["t1"]))
    return out.getvalue().splitlines()[-last:]
