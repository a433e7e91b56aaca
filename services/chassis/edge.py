"""The outermost layer of a service's HTTP: trace, metrics, security headers, and an answer whatever happens."""

from __future__ import annotations

from time import perf_counter

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis import metrics, telemetry
from services.chassis.gate import Gate, known
from services.chassis.logs import get_logger
from services.chassis.problems import MEDIA_TYPE, TOO_LARGE, Problem

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
API_VERSION = "1.0.0"
_HEADERS: dict[bytes, bytes] = {
    b"api-version": API_VERSION.encode(),
    b"cache-control": b"no-store",
    b"content-security-policy": _CSP.encode(),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"strict-transport-security": b"max-age=31536000",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
log = get_logger(__name__)


class Edge:
    """Pure ASGI. A route's own header of the same name goes before the ones that are added here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = Gate(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request in a span of its own."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        span = _start_span(scope, await _caller(scope))
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            await self._serve(scope, receive, answer)
        except Exception as error:
            log.error("request_failed", error=error, route=_route(scope), method=_method(scope))
            span.set_attribute("error.type", type(error).__qualname__)
            # Half an answer must not look like a whole one: then the server has to cut the connection.
            if not answer.complete:
                raise
        finally:
            otel_context.detach(token)
            _finish(span, scope, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
            problem = Problem(400, "NUL is not allowed in a path or query.", type="nul")
            await problem.response()(scope, receive, answer.send)
        else:
            await self.app(scope, receive, answer.send)


class _Answer:
    """What goes out: adds headers, and gives the body limit's plain 413 the form of a problem."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._replaced = False
        self.status = 0
        self.complete = False
        self.begun = perf_counter()
        self.seconds = 0.0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            self.complete = not message.get("more_body", False)
            await self._send(message)

    async def _start(self, message: Message) -> None:
        self.status, self.seconds = message["status"], perf_counter() - self.begun
        if self.status == 413 and Headers(raw=message["headers"]).get("content-type") != MEDIA_TYPE:
            self._replaced = True
            response = Problem(413, TOO_LARGE, type="too-large").response()
            await self._send({"type": message["type"], "status": 413, "headers": _headers(response.raw_headers)})
            await self._send({"type": "http.response.body", "body": response.body})
            self.complete = True
        else:
            await self._send({**message, "headers": _headers(message.get("headers", []))})


def _headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in given}
    return [*given, *((name, value) for name, value in _HEADERS.items() if name not in names)]


def _method(scope: Scope) -> str:
    method = scope["method"]
    return method if method in _METHODS else "_OTHER"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", None) or "unmatched"


async def _caller(scope: Scope) -> SpanContext | None:
    """The span that the caller names; nobody who is not known chooses a trace, or that it is kept."""
    value = Headers(scope=scope).get("traceparent")
    parent = telemetry.parse_traceparent(value) if value else None
    return parent if parent and await known(Request(scope)) else None


def _start_span(scope: Scope, parent: SpanContext | None) -> Span:
    context = trace.set_span_in_context(NonRecordingSpan(parent)) if parent else otel_context.Context()
    method = _method(scope)
    attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
    return telemetry.tracer().start_span(method, context=context, kind=SpanKind.SERVER, attributes=attributes)


def _finish(span: Span, scope: Scope, answer: _Answer) -> None:
    method, route, status = _method(scope), _route(scope), answer.status or 500
    metrics.http_requests.labels(method, route, str(status)).inc()
    metrics.http_seconds.labels(method, route).observe(answer.seconds or perf_counter() - answer.begun)
    if span.is_recording():
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
    span.end()
