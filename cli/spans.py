"""Reads spans from files of OTLP JSON lines (OpenTelemetry's file exporter)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ERROR = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span; `start` and `end` in nanoseconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, str]

    @property
    def label(self) -> str:
        """Its name, with the type of the event that it processed."""
        kind = self.attributes.get("cloudevents.event_type", "")
        return f"{self.name} {kind.removeprefix('nl.hulpketen.')}".strip()


def find(folder: Path, id: str) -> dict[str, list[Span]]:
    """The traces that have this id, or a span with an attribute of this value; the oldest first."""
    named = {span.trace for span in _spans(folder, [id]) if id == span.trace or id in span.attributes.values()}
    traces: dict[str, dict[str, Span]] = {}
    for span in _spans(folder, named):
        if span.trace in named:
            traces.setdefault(span.trace, {})[span.id] = span
    oldest_first = sorted(traces.items(), key=lambda entry: min(span.start for span in entry[1].values()))
    return {trace: list(spans.values()) for trace, spans in oldest_first}


def once(spans: list[Span]) -> tuple[list[Span], int]:
    """The spans with each record as it was processed first, and how many deliveries of the same were left out.

    A delivery from which something followed stays as well.
    """
    causes = {span.parent for span in spans}
    kept: list[Span] = []
    seen: set[tuple[str, ...]] = set()
    for span in sorted(spans, key=lambda each: each.start):
        event = span.attributes.get("messaging.message.id", "")
        delivery = (span.service, span.name, span.parent, event)
        if not event or delivery not in seen or span.id in causes:
            kept.append(span)
        seen.add(delivery)
    return kept, len(spans) - len(kept)


def in_order(spans: list[Span]) -> Iterator[tuple[int, Span]]:
    """Depth and span, each below its parent, by start; a span whose parent was not kept stands at the top."""
    ids = {span.id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda each: each.start):
        children.setdefault(span.parent if span.parent in ids else "", []).append(span)
    waiting = [(0, span) for span in reversed(children.get("", []))]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(children.get(span.id, []))]


def _spans(folder: Path, texts: Iterable[str]) -> Iterator[Span]:
    """The spans of the lines that hold one of these texts; a line that is still being written is left out."""
    wanted = tuple(texts)
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if any(text in line for text in wanted):
                    yield from _read(line)


def _read(line: str) -> Iterator[Span]:
    try:
        resources = json.loads(line)["resourceSpans"]
    except (ValueError, KeyError):
        return
    for resource in resources:
        service = _values(resource["resource"]["attributes"]).get("service.name", "")
        for scope in resource["scopeSpans"]:
            yield from (_span(service, span) for span in scope["spans"] if "traceId" in span)


def _span(service: str, span: dict[str, Any]) -> Span:
    return Span(
        trace=span["traceId"],
        id=span["spanId"],
        parent=span.get("parentSpanId", ""),
        name=span["name"],
        service=service,
        start=int(span["startTimeUnixNano"]),
        end=int(span["endTimeUnixNano"]),
        failed=span.get("status", {}).get("code") == _ERROR,
        attributes=_values(span.get("attributes", [])),
    )


def _values(attributes: list[dict[str, Any]]) -> dict[str, str]:
    return {each["key"]: str(next(iter(each["value"].values()), "")) for each in attributes}
