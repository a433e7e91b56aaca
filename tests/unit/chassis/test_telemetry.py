"""Traces: what is sampled lands in files as OTLP JSON, what is not costs and leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.chassis import telemetry
from services.chassis.settings import TelemetrySettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"


def start(traceparent: str | None) -> telemetry.RecordSpan:
    return telemetry.start_record_span(
        traceparent, "signals", "event-1", "nl.hulpketen.signals.received.v1", "subject-1", "matching"
    )


def spans(folder: Path) -> list[dict[str, Any]]:
    """All spans in the files of a folder, with their attributes as a plain dict."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    found += scope["spans"]
    for span in found:
        span["attributes"] = {each["key"]: each["value"] for each in span["attributes"]}
    return found


def test_the_span_of_a_sampled_record_goes_on_with_its_trace(traces: Path) -> None:
    span = start(SAMPLED)
    assert span.traceparent.startswith(f"00-{TRACE}-")
    assert span.traceparent.endswith("-01")
    assert span.traceparent != SAMPLED
    span.end()
    telemetry.flush()
    (written,) = spans(traces)
    assert written["traceId"] == TRACE
    assert written["parentSpanId"] == "00f067aa0ba902b7"
    assert written["spanId"] == span.traceparent[36:52]
    assert written["name"] == "process signals"
    assert written["kind"] == 5
    assert 0 <= int(written["endTimeUnixNano"]) - int(written["startTimeUnixNano"]) < 10**9
    assert {key: value["stringValue"] for key, value in written["attributes"].items()} == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "signals",
        "messaging.consumer.group.name": "matching",
        "messaging.message.id": "event-1",
        "cloudevents.event_id": "event-1",
        "cloudevents.event_type": "nl.hulpketen.signals.received.v1",
        "cloudevents.event_subject": "subject-1",
    }
    assert written["status"] == {}


def test_an_unsampled_record_hands_its_traceparent_on_and_leaves_no_span(traces: Path) -> None:
    span = start(UNSAMPLED)
    assert span.traceparent == UNSAMPLED
    span.end("failed")
    telemetry.flush()
    assert spans(traces) == []


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        SAMPLED + "-more",
        SAMPLED.upper(),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"ff{SAMPLED[2:]}",
    ],
)
def test_a_record_without_a_readable_traceparent_begins_a_trace(header: str | None, traces: Path) -> None:
    span = start(header)
    context = telemetry.parse_traceparent(span.traceparent)
    assert context is not None
    assert context.trace_flags.sampled
    assert f"{context.trace_id:032x}" != TRACE
    span.end()
    telemetry.flush()
    (written,) = spans(traces)
    assert "parentSpanId" not in written


def test_new_traces_are_sampled_by_the_ratio_as_the_sdk_does_it(tmp_path: Path) -> None:
    telemetry.setup("test", TelemetrySettings(exporter="file", directory=tmp_path, sample_ratio=0.25))
    sampled = [start(None) for _ in range(4_000)]
    count = sum(span.traceparent.endswith("-01") for span in sampled)
    assert 800 < count < 1_200
    for span in sampled[:200]:
        trace_id = int(span.traceparent[3:35], 16)
        decision = telemetry._Telemetry.provider.sampler.should_sample(None, trace_id, "x").decision
        assert (decision is Decision.RECORD_AND_SAMPLE) == span.traceparent.endswith("-01")
    telemetry.shutdown()


TOPIC = telemetry.Destination("kafka", "partners.one", "partners.{organisation}")


def test_a_delivery_is_a_span_below_what_led_to_it(traces: Path) -> None:
    headers = {"traceparent": SAMPLED.encode(), "ce_id": b"event-1", "ce_type": b"nl.hulpketen.partners.x.v1"}
    span = telemetry.start_delivery_span(headers, TOPIC)
    assert span is not None
    span.end()
    telemetry.flush()
    (written,) = spans(traces)
    assert (written["traceId"], written["parentSpanId"]) == (TRACE, "00f067aa0ba902b7")
    assert (written["name"], written["kind"]) == ("send partners.{organisation}", 4)
    assert written["attributes"]["messaging.destination.name"] == {"stringValue": "partners.one"}
    assert "cloudevents.event_subject" not in written["attributes"]


@pytest.mark.parametrize("header", [UNSAMPLED, "", "nonsense1", f"{SAMPLED[:-2]}é1"])
def test_a_delivery_of_no_sampled_trace_is_no_span(header: str, traces: Path) -> None:
    assert telemetry.start_delivery_span({"traceparent": header.encode()}, TOPIC) is None
    assert telemetry.start_delivery_span({}, TOPIC) is None


def test_a_failure_is_a_code_in_the_span(traces: Path) -> None:
    start(SAMPLED).end("invalid-data")
    telemetry.flush()
    (written,) = spans(traces)
    assert written["status"] == {"code": 2}
    assert written["attributes"]["error.type"] == {"stringValue": "invalid-data"}


def test_without_set_up_nothing_is_sampled() -> None:
    telemetry.shutdown()
    span = start(SAMPLED)
    assert span.traceparent == SAMPLED
    span.end()
    assert start(None).traceparent.endswith("-00")
    assert telemetry.current_traceparent() is None


def test_spans_of_the_sdk_are_written_with_values_of_every_kind(traces: Path) -> None:
    attributes: dict[str, Any] = {"text": 'q"é', "count": 2**60, "part": 0.5, "yes": True, "list": ("a", "b")}
    with telemetry.tracer().start_as_current_span("work", kind=SpanKind.SERVER, attributes=attributes) as span:
        header = telemetry.current_traceparent()
        span.set_status(Status(StatusCode.ERROR))
    telemetry.flush()
    (written,) = spans(traces)
    assert header == f"00-{written['traceId']}-{written['spanId']}-01"
    assert written["kind"] == 2
    assert written["attributes"] == {
        "text": {"stringValue": 'q"é'},
        "count": {"intValue": str(2**60)},
        "part": {"doubleValue": 0.5},
        "yes": {"boolValue": True},
        "list": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}},
    }


def test_files_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    settings = TelemetrySettings(exporter="file", directory=tmp_path, sample_ratio=1, file_bytes=65_536, files=3)
    (tmp_path / "another-1.jsonl").write_text("")
    (tmp_path / "test-1.jsonl").write_text("from an earlier process")
    telemetry.setup("test", settings)
    for _ in range(10):
        for _ in range(200):
            start(SAMPLED).end()
        telemetry.flush()
    telemetry.shutdown()
    files = list(tmp_path.glob("test-*.jsonl"))
    assert len(files) == 3
    assert not (tmp_path / "test-1.jsonl").exists()
    assert (tmp_path / "another-1.jsonl").exists()
    assert all(path.stat().st_size < 400_000 for path in files)
    assert all(span["traceId"] == TRACE for path in files for span in spans(path.parent))


def test_what_ends_after_the_end_is_dropped(traces: Path) -> None:
    late = start(SAMPLED)
    telemetry.shutdown()
    late.end()
    assert spans(traces) == []
