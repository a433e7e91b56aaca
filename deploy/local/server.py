"""The pages that the supervisor serves itself: the start page, the issuer and the mailbox."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_plus, urlencode

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.middleware.trustedhost import TrustedHostMiddleware

from deploy.local.access import sample_logins
from deploy.local.issuer import Issuer, OAuthError
from deploy.local.mailbox import mailbox
from deploy.local.ports import HOST

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"), autoescape=select_autoescape(), trim_blocks=True
)
_MOST_FORM_BYTES = 16_384


class IssuerServer:
    """Serves for as long as it is entered, in that event loop; on loopback if not told otherwise."""

    def __init__(
        self,
        issuer: Issuer,
        port: int,
        addresses: Mapping[str, str],
        listen: str = HOST,
        known_as: Sequence[str] = (),
    ) -> None:
        """`listen`: the address; `known_as`: by which other names than loopback's it may be asked."""
        self._where = (listen, port)
        app = make_app(issuer, addresses, known_as)
        self._server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        listener = socket.create_server(self._where)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="issuer")
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._task:
            await self._task


class _Server(uvicorn.Server):
    """Signals are the supervisor's own business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_app(issuer: Issuer, addresses: Mapping[str, str], known_as: Sequence[str] = ()) -> FastAPI:
    """The application; it answers to loopback names and `known_as`, so that no site can reach it by its own name."""
    app = FastAPI(title="Embedded issuer", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost", *known_as])
    app.include_router(mailbox(_page))
    app.include_router(_start_page(addresses))
    app.include_router(_authorize(issuer))
    app.include_router(_tokens(issuer))
    app.add_exception_handler(OAuthError, _refusal)
    return app


def _start_page(addresses: Mapping[str, str]) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    async def start() -> Response:
        return _page("start.html", addresses=addresses, logins=sample_logins())

    return router


def _authorize(issuer: Issuer) -> APIRouter:
    router = APIRouter()
    logins = {login.subject: login for login in sample_logins()}

    @router.get("/authorize")
    async def choose(request: Request) -> Response:
        query = dict(request.query_params)
        issuer.check_redirect(query)
        try:
            issuer.authorization_request(query)
        except OAuthError as error:
            return _back(issuer, query, {"error": error.code, "error_description": str(error)})
        return _page("authorize.html", form_action=" ".join(issuer.pages), query=query, logins=logins.values())

    @router.post("/authorize")
    async def chosen(request: Request) -> Response:
        form = await _form(request)
        asked = issuer.authorization_request(form)
        login = logins.get(form.get("login", ""))
        answer = {"code": issuer.code(asked, login)} if login else {"error": "access_denied"}
        return _back(issuer, form, answer)

    @router.get("/logout")
    async def logout(post_logout_redirect_uri: str = "/") -> Response:
        """The issuer holds no session of its own: it only shows the way back."""
        registered = any(post_logout_redirect_uri.startswith(f"{page}/") for page in issuer.pages)
        return RedirectResponse(post_logout_redirect_uri if registered else "/", 303)

    return router


def _tokens(issuer: Issuer) -> APIRouter:
    router = APIRouter()

    @router.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        return issuer.discovery()

    @router.get("/jwks")
    async def keys() -> dict[str, Any]:
        return issuer.keys()

    @router.post("/token")
    async def token(request: Request) -> Response:
        form = await _form(request)
        client = issuer.authenticate(*_credentials(request, form))
        grants = {"authorization_code": issuer.redeem, "client_credentials": issuer.client_credentials}
        grant = grants.get(form.get("grant_type", ""))
        if grant is None:
            raise OAuthError("unsupported_grant_type", f"use one of {', '.join(grants)}")
        return JSONResponse(grant(client, form), headers={"Cache-Control": "no-store"})

    return router


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client), unquote_plus(secret)


async def _form(request: Request) -> dict[str, str]:
    if int(request.headers.get("content-length", _MOST_FORM_BYTES)) > _MOST_FORM_BYTES:
        raise OAuthError("invalid_request", "the form is too large", 413)
    form = await request.form(max_files=0, max_fields=20)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _back(issuer: Issuer, query: Mapping[str, str], answer: Mapping[str, str]) -> Response:
    """To where the request came from; its redirect URI was checked."""
    state = {"state": query["state"]} if query.get("state") else {}
    return RedirectResponse(f"{query['redirect_uri']}?{urlencode({**answer, **state, 'iss': issuer.url})}", 303)


def _page(name: str, form_action: str = "", **values: Any) -> Response:
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {form_action};"
        " frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(_PAGES.get_template(name).render(**values), headers=headers)


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, OAuthError)
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Basic"} if error.status == 401 else {})
    return JSONResponse({"error": error.code, "error_description": str(error)}, error.status, headers)
