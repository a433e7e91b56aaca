"""Finished spans as lines of OTLP JSON in files of a bounded size and number (OpenTelemetry's file exporter)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from json.encoder import encode_basestring_ascii
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

_INTERVAL_S = 0.25
_QUEUE = 100_000
_SPANS_A_LINE = 1_000
_KINDS = (1, 2, 3, 4, 5)


class FileSpanProcessor(SpanProcessor):
    """Takes sampled spans and writes them in a thread of its own, four times a second.

    Files are `<service>-<pid>.jsonl` (the one being written) and `<service>-<pid>-<n>.jsonl`; of a service at most
    `files` are kept. When spans come faster than they are written the oldest are dropped, and counted.
    """

    def __init__(self, directory: Path, service: str, file_bytes: int, files: int) -> None:
        self._directory, self._service = directory, service
        self._file_bytes, self._files = file_bytes, files
        self._queue: deque[ReadableSpan] = deque(maxlen=_QUEUE)
        self.dropped = 0
        self._written, self._rotated = 0, 0
        self._writing, self._stop = Lock(), Event()
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{service}-{os.getpid()}.jsonl"
        self._file: IO[str] = self._open()
        self._thread = Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is done at the start of a span."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a finished span, if it is sampled."""
        context = span.context
        if context is not None and context.trace_flags & 1:
            self.dropped += len(self._queue) == _QUEUE
            self._queue.append(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write all that has ended so far."""
        self._write()
        return True

    def shutdown(self) -> None:
        """Write all that has ended so far and close the file."""
        self._stop.set()
        self._thread.join(5)
        self._write()
        self._file.close()

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._write()

    def _write(self) -> None:
        with self._writing:
            if self._file.closed:
                return
            while self._queue:
                count = min(len(self._queue), _SPANS_A_LINE)
                line = encode_spans([self._queue.popleft() for _ in range(count)])
                self._file.write(line)
                self._written += len(line)
                if self._written >= self._file_bytes:
                    self._rotate()
            self._file.flush()

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
        oldest_first = sorted(found, key=lambda path: path.stat().st_mtime_ns)
        for path in oldest_first[: max(0, len(found) - self._files + 1)]:
            path.unlink(missing_ok=True)


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
