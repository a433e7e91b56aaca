"""Traces: OpenTelemetry, with a span for each record of a batch that costs little, and next to nothing if unsampled."""

from __future__ import annotations

import re
from random import getrandbits
from time import time_ns
from typing import ClassVar

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue

from services.chassis.settings import TelemetrySettings
from services.chassis.spans import FileSpanProcessor

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("hulpketen")
_OK, _NO_STATE = Status(), trace.TraceState()


class _Telemetry:
    """What `setup` made of this process; before it, nothing is sampled and nothing written."""

    provider: ClassVar[TracerProvider] = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0)))
    processor: ClassVar[SpanProcessor | None] = None
    resource: ClassVar[Resource] = Resource({})
    # The sampler's own bound: a trace is kept when the low 64 bits of its id are below it.
    bound: ClassVar[int] = 0


def setup(service: str, settings: TelemetrySettings) -> None:
    """Begin tracing in this process; what was set up before is flushed and closed."""
    shutdown()
    ratio = settings.sample_ratio if settings.exporter != "none" else 0.0
    sampler = TraceIdRatioBased(ratio)
    _Telemetry.resource = Resource({"service.name": service, "service.namespace": "hulpketen"})
    _Telemetry.provider = TracerProvider(
        sampler=ParentBased(sampler), resource=_Telemetry.resource, shutdown_on_exit=False
    )
    _Telemetry.bound = sampler.bound
    if settings.exporter == "file" and settings.directory is not None:
        _Telemetry.processor = FileSpanProcessor(settings.directory, service, settings.file_bytes, settings.files)
        _Telemetry.provider.add_span_processor(_Telemetry.processor)


def flush() -> None:
    """Write what waits."""
    if _Telemetry.processor is not None:
        _Telemetry.processor.force_flush()


def shutdown() -> None:
    """Write what waits and close; spans that end later are dropped."""
    if _Telemetry.processor is not None:
        _Telemetry.processor.shutdown()
    _Telemetry.processor, _Telemetry.bound = None, 0


def tracer() -> Tracer:
    """The tracer of this process, for spans that are not of a record."""
    return _Telemetry.provider.get_tracer("hulpketen")


def current_traceparent() -> str | None:
    """The `traceparent` of the span under way, None where there is none."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"


def parse_traceparent(value: str) -> SpanContext | None:
    """The span that a `traceparent` header names, None where it is not well-formed."""
    if not _TRACEPARENT.fullmatch(value):
        return None
    return SpanContext(int(value[3:35], 16), int(value[36:52], 16), True, TraceFlags(int(value[53:], 16) & 1))


class RecordSpan:
    """The span of one record that is processed. This one is not sampled: it only hands the `traceparent` on."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def end(self, error: str | None = None) -> None:
        """The record is done; `error` is a short code (never a message) where it failed."""


class _SampledRecordSpan(RecordSpan):
    __slots__ = ("_attributes", "_context", "_name", "_parent", "_start")

    def __init__(
        self, trace_id: int, parent: SpanContext | None, name: str, attributes: dict[str, AttributeValue]
    ) -> None:
        self._context = SpanContext(trace_id, getrandbits(64) or 1, False, _SAMPLED, _NO_STATE)
        self._parent, self._name, self._attributes, self._start = parent, name, attributes, time_ns()
        super().__init__(f"00-{trace_id:032x}-{self._context.span_id:016x}-01")

    def end(self, error: str | None = None) -> None:
        processor = _Telemetry.processor
        if processor is None:
            return
        if error is not None:
            self._attributes["error.type"] = error
        # A finished span made directly: the SDK's own start and end cost three times as much.
        span = ReadableSpan(
            self._name,
            self._context,
            self._parent,
            _Telemetry.resource,
            self._attributes,
            kind=SpanKind.CONSUMER,
            status=_OK if error is None else Status(StatusCode.ERROR),
            start_time=self._start,
            end_time=time_ns(),
            instrumentation_scope=_SCOPE,
        )
        processor.on_end(span)


def start_record_span(
    traceparent: str | None, topic: str, event_id: str, event_type: str, subject: str | None, group: str
) -> RecordSpan:
    """Begin the span of a record that is processed; call `end` once it is done.

    A record of a trace that is not sampled keeps its traceparent and costs about a microsecond; one without a
    (well-formed) traceparent begins a trace, sampled by the setting's ratio. Attributes follow OpenTelemetry's
    conventions for messaging and CloudEvents.
    """
    parent: SpanContext | None = None
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        if _Telemetry.processor is None or traceparent[-1] not in "13579bdf":
            return RecordSpan(traceparent)
        trace_id = int(traceparent[3:35], 16)
        parent = SpanContext(trace_id, int(traceparent[36:52], 16), True, _SAMPLED, _NO_STATE)
    else:
        trace_id = getrandbits(128) or 1
        if _Telemetry.processor is None or trace_id & 0xFFFFFFFFFFFFFFFF >= _Telemetry.bound:
            return RecordSpan(f"00-{trace_id:032x}-{getrandbits(64) or 1:016x}-00")
    attributes: dict[str, AttributeValue] = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": topic,
        "messaging.consumer.group.name": group,
        "messaging.message.id": event_id,
        "cloudevents.event_id": event_id,
        "cloudevents.event_type": event_type,
    }
    if subject is not None:
        attributes["cloudevents.event_subject"] = subject
    return _SampledRecordSpan(trace_id, parent, f"process {topic}", attributes)
