"""Traces: OpenTelemetry, with a span for each record of a batch that costs little, and next to nothing if unsampled."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from random import getrandbits
from time import time_ns
from typing import ClassVar, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue

from services.chassis.settings import TelemetrySettings
from services.chassis.span_files import FileExporter
from services.chassis.spans import SpanQueue

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_BY = "13579bdf"
_SAMPLED_BY_BYTE = _SAMPLED_BY.encode()
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
    exporter = _exporter(service, settings)
    sampler = TraceIdRatioBased(settings.sample_ratio if exporter else 0.0)
    instance = f"{socket.gethostname()}-{os.getpid()}"
    names = {"service.name": service, "service.namespace": "hulpketen", "service.instance.id": instance}
    _Telemetry.resource = Resource(names)
    _Telemetry.provider = TracerProvider(
        sampler=ParentBased(sampler), resource=_Telemetry.resource, shutdown_on_exit=False
    )
    _Telemetry.bound = sampler.bound
    if exporter:
        _Telemetry.processor = SpanQueue(exporter, settings.queue)
        _Telemetry.provider.add_span_processor(_Telemetry.processor)


def _exporter(service: str, settings: TelemetrySettings) -> SpanExporter | None:
    if settings.exporter == "otlp":
        # It brings 7 MB of libraries, which who does not export that way need not hold.
        from services.chassis.span_otlp import OtlpExporter  # noqa: PLC0415

        return OtlpExporter(settings)
    if settings.exporter == "file" and settings.directory is not None:
        return FileExporter(settings.directory, service, settings.file_bytes, settings.files)
    return None


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
    __slots__ = ("_attributes", "_context", "_kind", "_name", "_parent", "_start")

    def __init__(
        self,
        trace_id: int,
        parent: SpanContext | None,
        name: str,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
    ) -> None:
        self._context = SpanContext(trace_id, getrandbits(64) or 1, False, _SAMPLED, _NO_STATE)
        self._parent, self._name, self._kind = parent, name, kind
        self._attributes, self._start = attributes, time_ns()
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
            kind=self._kind,
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
        if _Telemetry.processor is None or traceparent[-1] not in _SAMPLED_BY:
            return RecordSpan(traceparent)
        parent = _parent(traceparent)
        trace_id = parent.trace_id
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
    }
    _describe(attributes, event_id, event_type, subject)
    return _SampledRecordSpan(trace_id, parent, f"process {topic}", SpanKind.CONSUMER, attributes)


class Destination(NamedTuple):
    """Where something is delivered outside the chain: `template` is the name with what varies taken out."""

    system: str
    name: str
    template: str


def start_delivery_span(headers: Mapping[str, bytes], to: Destination) -> RecordSpan | None:
    """Begin the span of a record that goes out of the chain; call `end` once it went. None where its trace is not
    sampled, which is seen in a fraction of a microsecond.

    Within the chain there is no such span: the record is finished in the outbox, before it is sent and perhaps by
    another process than the one that sends it, so that the consumer's span goes on from the one that decided.
    """
    header = headers.get("traceparent")
    if _Telemetry.processor is None or not header or header[-1] not in _SAMPLED_BY_BYTE:
        return None
    traceparent = header.decode("ascii", "replace")
    if not _TRACEPARENT.fullmatch(traceparent):
        return None
    parent = _parent(traceparent)
    attributes: dict[str, AttributeValue] = {
        "messaging.system": to.system,
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.destination.name": to.name,
        "messaging.destination.template": to.template,
    }
    event_id, event_type, subject = (headers.get(name, b"").decode() for name in ("ce_id", "ce_type", "ce_subject"))
    _describe(attributes, event_id, event_type, subject or None)
    return _SampledRecordSpan(parent.trace_id, parent, f"send {to.template}", SpanKind.PRODUCER, attributes)


def _parent(traceparent: str) -> SpanContext:
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), True, _SAMPLED, _NO_STATE)


def _describe(attributes: dict[str, AttributeValue], event_id: str, event_type: str, subject: str | None) -> None:
    attributes["messaging.message.id"] = attributes["cloudevents.event_id"] = event_id
    attributes["cloudevents.event_type"] = event_type
    if subject is not None:
        attributes["cloudevents.event_subject"] = subject
