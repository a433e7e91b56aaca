"""Spans as lines of OTLP JSON in files of a bounded size and number (OpenTelemetry's file exporter)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import IO, Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

_KINDS = (1, 2, 3, 4, 5)


class FileExporter(SpanExporter):
    """Files are `<service>-<pid>.jsonl` (the one being written) and `<service>-<pid>-<n>.jsonl`; of a service at most
    `files` are kept."""

    def __init__(self, directory: Path, service: str, file_bytes: int, files: int) -> None:
        self._directory, self._service = directory, service
        self._file_bytes, self._files = file_bytes, files
        self._written = 0
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{service}-{os.getpid()}.jsonl"
        # A container's process may have the number of the one before it.
        earlier = directory.glob(f"{self._path.stem}-*.jsonl")
        self._rotated = max((int(n) for p in earlier if (n := p.stem.rpartition("-")[2]).isdecimal()), default=0)
        self._file: IO[str] = self._open()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write them as one line. Raises: OSError where the disk does not take it."""
        if self._file.closed:
            return SpanExportResult.FAILURE
        line = encode_spans(spans)
        self._file.write(line)
        self._file.flush()
        self._written += len(line)
        if self._written >= self._file_bytes:
            self._rotate()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        self._rotated += 1
        self._path.rename(self._path.with_stem(f"{self._path.stem}-{self._rotated}"))
        self._file = self._open()

    def _open(self) -> IO[str]:
        self._prune()
        self._written = 0
        return open(self._path, "a", encoding="ascii")

    def _prune(self) -> None:
        """Remove the oldest files of this service, so that with the one about to be opened there are `files`."""
        found = [path for path in self._directory.glob(f"{self._service}-*.jsonl") if path != self._path]
        oldest_first = sorted(found, key=_changed)
        for path in oldest_first[: max(0, len(found) - self._files + 1)]:
            path.unlink(missing_ok=True)


def _changed(path: Path) -> int:
    """When a file was last written to; 0 where another process removed it meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def encode_spans(spans: Sequence[ReadableSpan]) -> str:
    """One line of OTLP JSON (a TracesData message) for spans of one resource and scope."""
    resource = spans[0].resource.attributes
    scope = spans[0].instrumentation_scope
    name = encode_basestring_ascii(scope.name if scope else "")
    return (
        f'{{"resourceSpans":[{{"resource":{{"attributes":[{_attributes(resource)}]}},'
        f'"scopeSpans":[{{"scope":{{"name":{name}}},"spans":[{_spans(spans)}]}}]}}]}}\n'
    )


def _spans(spans: Iterable[ReadableSpan]) -> str:
    return ",".join([_span(span) for span in spans])


def _span(span: ReadableSpan) -> str:
    context, parent = span.context, span.parent
    if context is None:
        return "{}"
    above = f'"parentSpanId":"{parent.span_id:016x}",' if parent else ""
    status = '{"code":2}' if span.status.status_code is StatusCode.ERROR else "{}"
    return (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",{above}"flags":{context.trace_flags:d},'
        f'"name":{encode_basestring_ascii(span.name)},"kind":{_KINDS[span.kind.value]},'
        f'"startTimeUnixNano":"{span.start_time}","endTimeUnixNano":"{span.end_time}",'
        f'"attributes":[{_attributes(span.attributes or {})}],"status":{status}}}'
    )


def _attributes(attributes: Mapping[str, Any]) -> str:
    return ",".join(
        [
            f'{{"key":"{key}","value":{{"stringValue":{encode_basestring_ascii(value)}}}}}'
            if type(value) is str
            else f'{{"key":"{key}","value":{_value(value)}}}'
            for key, value in attributes.items()
        ]
    )


def _value(value: Any) -> str:
    """An AnyValue; 64-bit integers are text in OTLP JSON."""
    if isinstance(value, bool):
        return f'{{"boolValue":{dumps(value)}}}'
    if isinstance(value, int):
        return f'{{"intValue":"{value}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{dumps(value)}}}'
    if isinstance(value, str):
        return f'{{"stringValue":{encode_basestring_ascii(value)}}}'
    return f'{{"arrayValue":{{"values":[{",".join(_value(each) for each in value)}]}}}}'
