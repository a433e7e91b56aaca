"""A receiver of OTLP over HTTP, as a collector has one, that keeps what it gets in memory."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from cli.spans import Span


class Receiver(ThreadingHTTPServer):
    """`spans` that were taken, `paths` and `headers` of all requests; `status` is what it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.spans: list[Span] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.asked = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            self.spans += [_span(service, span) for scope in resource.scope_spans for span in scope.spans]

    def of(self, trace: str) -> list[Span]:
        """The spans of a trace, so far."""
        return [span for span in list(self.spans) if span.trace == trace]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        server.paths.append(self.path)
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if server.status == 200:
            server.take(gzip.decompress(body))
        self.send_response(server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        server.asked.set()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver that listens."""
    with Receiver() as receiver:
        if tls:
            receiver.socket = tls.wrap_socket(receiver.socket, server_side=True)
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def _span(service: str, span: Encoded) -> Span:
    return Span(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        service=service,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_values(span.attributes),
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: AnyValue) -> str:
    return str(getattr(value, value.WhichOneof("value") or "string_value"))
