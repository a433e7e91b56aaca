"""The HTTP side of a service: one FastAPI application with the rules that hold for every route."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError, WTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp

from services.chassis import logs, telemetry
from services.chassis.auth import TokenVerifier
from services.chassis.edge import API_VERSION, Edge
from services.chassis.incoming import check_body
from services.chassis.issuer import Issuer
from services.chassis.operations_api import Runtime, health_routes, operations_routes
from services.chassis.pipeline.errors import (
    Erased,
    KeyReused,
    LeaseLost,
    OutboxFull,
    PipelineError,
    StoreUnavailable,
    UnknownDeadLetter,
    WriteRefused,
)
from services.chassis.problems import MEDIA_TYPE, TOO_LARGE, UNREADABLE, Problem, field_errors
from services.chassis.settings import ChassisSettings, HttpSettings, refuse

_NO_TELEMETRY_OF_ITS_OWN: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_KEEP_ALIVE_S = 30


class App(FastAPI):
    """FastAPI with the chassis' edge around all of it, and problems instead of its own error answers."""

    def build_middleware_stack(self) -> ASGIApp:
        """The edge goes outside everything, so that no answer escapes it."""
        return Edge(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; errors are 4xx and 5xx problems, and there is no 422."""
        if not self.openapi_schema:
            document = super().openapi()
            for operations in document.get("paths", {}).values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    operation["responses"]["default"] = _PROBLEM_RESPONSE
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas["Problem"] = _PROBLEM_SCHEMA
        return self.openapi_schema or {}


def create_app(
    service: str,
    *,
    runtime: Runtime,
    settings: ChassisSettings,
    routers: Sequence[APIRouter] = (),
    transport: httpx.AsyncBaseTransport | None = None,
) -> App:
    """The application of a service: its routers, health, metrics, operations; starts and stops `runtime` with it.

    State for dependencies: `settings`, `runtime`, `verifier` (TokenVerifier), `digest_key`, and `stopping`, an event
    that is set when the server is asked to stop, for streams to end by. `transport` is how the issuer is reached.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        try:
            yield
        finally:
            await runtime.stop()

    app = App(
        title=service,
        version=API_VERSION,
        telemetry=_NO_TELEMETRY_OF_ITS_OWN,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        dependencies=[Depends(check_body)],
        exception_handlers=_HANDLERS,
        max_body_size=settings.http.max_body_bytes,
    )
    app.state.settings, app.state.runtime = settings, runtime
    app.state.verifier = TokenVerifier(Issuer(settings.auth, transport))
    app.state.digest_key = runtime.digest_key
    app.state.stopping = asyncio.Event()

    async def caught_up() -> None:
        if not runtime.caught_up:  # it would answer with, and decide on, what was long ago
            raise _away(StoreUnavailable.retry_after)

    for router in routers:
        app.include_router(router, dependencies=[Depends(caught_up)])
    for router in (health_routes(runtime), operations_routes(runtime)):
        app.include_router(router)
    return app


def serve(app: App, http: HttpSettings) -> None:
    """Run the application until SIGTERM or SIGINT; sets up the log and traces of this process.

    Exit 1: port taken; exit 2: a setting is wrong.
    """
    settings: ChassisSettings = app.state.settings
    logs.configure(app.title, settings.log.level)
    try:
        telemetry.setup(app.title, settings.telemetry)
    except OSError as error:
        refuse([f"TELEMETRY_DIRECTORY is wrong: {error.filename} cannot be written to ({error.strerror})"])
    config = uvicorn.Config(
        app,
        host=http.host,
        port=http.port,
        # Else an error at the start would only be taken as having none to run.
        lifespan="on",
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=http.shutdown_s,
    )
    spare_collector()
    # uvicorn raises the signal again when it is done: SIGINT as KeyboardInterrupt, SIGTERM ends the process.
    with suppress(KeyboardInterrupt):
        _Server(config, app.state.stopping).run()


def spare_collector() -> None:
    """Leave what stays for the life of the process out of every garbage collection, and collect less often.

    A batch of 500 records makes tens of thousands of objects, none of them in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _Server(uvicorn.Server):
    """Tells open streams that the server is asked to stop, before it waits for them; writes the last spans."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)
        telemetry.shutdown()


def _invalid(error: RequestValidationError) -> Problem:
    return Problem(400, type="invalid", errors=field_errors(error.errors()))


def _http(error: HTTPException) -> Problem:
    if error.status_code == 400:  # FastAPI's, for a body that its reader of JSON gave up on
        return Problem(400, UNREADABLE, type="unreadable", headers=error.headers)
    if error.status_code == 413:
        return Problem(413, TOO_LARGE, type="too-large", headers=error.headers)
    return Problem(error.status_code, headers=error.headers)


def _store(error: PyMongoError) -> Problem:
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError) or error.timeout:
        return _away(StoreUnavailable.retry_after)
    return Problem(500)


def _away(retry_after: int) -> Problem:
    return Problem(
        503, "Nothing was changed; try again.", type="unavailable", headers={"Retry-After": str(retry_after)}
    )


_PROBLEMS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    RequestValidationError: _invalid,
    HTTPException: _http,
    PyMongoError: _store,
    StoreUnavailable: lambda error: _away(error.retry_after),
    OutboxFull: lambda error: _away(error.retry_after),
    LeaseLost: lambda error: _away(error.retry_after),
    KeyReused: lambda _: Problem(409, "The key was used for another request: take a new one.", type="key-reused"),
    Erased: lambda _: Problem(404),
    UnknownDeadLetter: lambda _: Problem(404),
    WriteRefused: lambda _: Problem(400, "It is too large to be stored.", type="write-refused"),
    ClientDisconnect: lambda _: Problem(400, type="disconnected"),
    Exception: lambda _: Problem(500),
}


def _handler(make: Callable[[Any], Problem]) -> Callable[[Request, Any], Any]:
    async def handler(_: Request, error: Exception) -> Response:
        problem = make(error)
        if problem.status >= 500 and isinstance(error, PyMongoError | PipelineError):
            logs.get_logger(__name__).warning("request_refused", error=error, status=problem.status)
        return problem.response()

    return handler


_HANDLERS: Any = {error: _handler(make) for error, make in _PROBLEMS.items()}
_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "traceId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "code", "message"],
                "properties": {name: {"type": "string"} for name in ("in", "pointer", "code", "message")},
            },
        },
    },
}
_PROBLEM_RESPONSE = {
    "description": "A problem",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
