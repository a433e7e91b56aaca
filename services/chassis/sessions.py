"""Sessions of pages: a cookie, what it stands for on the server, and a CSRF token for all that changes something."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.chassis.auth import Principal, TokenVerifier
from services.chassis.keys import SealBroken, Sealer, fingerprint
from services.chassis.login import LOGIN_S, Client, Login, SignedIn
from services.chassis.logs import get_logger
from services.chassis.problems import Problem

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_SIGNED_OUT = """<!doctype html><html lang="nl"><head><meta charset="utf-8"><title>Uitgelogd</title></head>
<body><p>U bent uitgelogd. <span lang="en">You are signed out.</span></p>
<p><a href="/login">Inloggen <span lang="en">(sign in)</span></a></p></body></html>"""
log = get_logger(__name__)


class SessionStore(Protocol):
    """Where sessions are kept, by the SHA-256 of their cookie. What a document holds is not the store's business."""

    async def put(self, key: str, document: dict[str, Any], expires_at: datetime) -> None:
        """Keep a document until it expires."""

    async def get(self, key: str) -> dict[str, Any] | None:
        """The document, None where there is none or it has expired."""

    async def delete(self, key: str) -> None:
        """Forget it; again is harmless."""


@dataclass(frozen=True, slots=True)
class Session:
    """A page's session. The access token is for calling other services on the user's behalf."""

    key: str
    principal: Principal
    csrf: str
    access_token: str


class Sessions:
    """Begins, recognises and ends sessions. Set as `app.state.sessions`, it lets `requires` accept them, too."""

    def __init__(
        self,
        client: Client,
        store: SessionStore,
        verifier: TokenVerifier,
        sealer: Sealer,
        clock: Callable[[], float] = time,
    ) -> None:
        self._store, self._sealer, self._clock = store, sealer, clock
        self._secure = client.secure
        self._login = Login(client, verifier, sealer, clock)
        # Cookies of a host are shared by all its ports: without TLS the port tells two stacks apart.
        suffix = f"-{urlsplit(client.public_url).port or 80}"
        self.cookie = "__Host-session" if client.secure else f"session{suffix}"
        self.login_cookie = "__Host-login" if client.secure else f"login{suffix}"

    async def principal(self, request: Request) -> Principal | None:
        """Who the request's session stands for; Problem 403 where it would change something without CSRF token."""
        session = await self.current(request)
        return session.principal if session else None

    async def current(self, request: Request) -> Session | None:
        """The request's session, None where it has none; raises as `principal`."""
        if not hasattr(request.state, "session"):
            session = await self._load(request.cookies.get(self.cookie))
            if session and request.method not in _SAFE:
                await _check_csrf(request, session)
            request.state.session = session
        found: Session | None = request.state.session
        return found

    async def alive(self, session: Session) -> bool:
        """Whether the session still is there, for a stream to look now and then."""
        ended = self._clock() >= session.principal.expires_at.timestamp()
        return not ended and await self._store.get(session.key) is not None

    async def login(self, next_path: str) -> Response:
        """Send the browser to the issuer."""
        url, cookie = await self._login.begin(_local(next_path))
        response = RedirectResponse(url, 303)
        self._set_cookie(response, self.login_cookie, cookie, LOGIN_S)
        return response

    async def callback(self, request: Request) -> Response:
        """Take the issuer's answer, and begin a session in place of the one that the browser had."""
        cookies, query = request.cookies, request.query_params
        signed_in = await self._login.finish(
            cookies.get(self.login_cookie, ""), query.get("code", ""), query.get("state", "")
        )
        if earlier := cookies.get(self.cookie):
            await self._store.delete(fingerprint(earlier))
        cookie = await self._begin(signed_in)
        response = RedirectResponse(signed_in.next_path, 303)
        seconds = int(signed_in.principal.expires_at.timestamp() - self._clock())
        self._set_cookie(response, self.cookie, cookie, seconds)
        self._set_cookie(response, self.login_cookie, "", 0)
        return response

    async def logout(self, request: Request) -> Response:
        """End the session; a stream on it ends when it next looks."""
        session = await self.current(request)
        if session:
            await self._store.delete(session.key)
        response = RedirectResponse("/signed-out", 303)
        self._set_cookie(response, self.cookie, "", 0)
        return response

    async def _load(self, cookie: str | None) -> Session | None:
        if not cookie:
            return None
        key = fingerprint(cookie)
        document = await self._store.get(key)
        if document is None or self._clock() >= document["expires_at"]:
            return None
        try:
            access_token = self._sealer.open(document["access_token"], key.encode()).decode()
        except SealBroken:
            log.warning("session_unreadable")
            return None
        return Session(key, _principal(document), document["csrf"], access_token)

    async def _begin(self, signed_in: SignedIn) -> str:
        cookie, principal = secrets.token_urlsafe(32), signed_in.principal
        key = fingerprint(cookie)
        document = {
            "organisation": principal.organisation,
            "municipalities": sorted(principal.municipalities),
            "scopes": sorted(principal.scopes),
            "subject": principal.subject,
            "expires_at": principal.expires_at.timestamp(),
            "csrf": secrets.token_urlsafe(32),
            "access_token": self._sealer.seal(signed_in.access_token.encode(), key.encode()),
        }
        await self._store.put(key, document, principal.expires_at)
        return cookie

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax")


def session_routes(sessions: Sessions) -> APIRouter:
    """/login?next=, /callback, /logout (POST, with CSRF token) and /signed-out."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    async def login(request: Request) -> Response:
        return await sessions.login(request.query_params.get("next", "/"))

    @router.get("/callback")
    async def callback(request: Request) -> Response:
        return await sessions.callback(request)

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        return await sessions.logout(request)

    @router.get("/signed-out")
    async def signed_out() -> HTMLResponse:
        return HTMLResponse(_SIGNED_OUT)

    return router


async def session_required(request: Request) -> Session:
    """A dependency: the session. Without one a page is sent to /login, and a call of a script gets 401."""
    sessions: Sessions = request.app.state.sessions
    session = await sessions.current(request)
    if session is None:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            location = f"/login?next={quote(request.url.path)}"
            raise Problem(303, title="Sign in first", headers={"Location": location})
        raise Problem(401, "The session has ended.", headers={"WWW-Authenticate": "Bearer"})
    return session


def sends_form(request: Request) -> bool:
    """Whether the body is a form of a page, which may hold the CSRF token."""
    return request.headers.get("content-type", "").lower().startswith(_FORMS)


async def _check_csrf(request: Request, session: Session) -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if not given and sends_form(request):
        given = str((await request.form()).get(CSRF_FIELD, ""))
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Problem(403, "The CSRF token is missing or another's.", type="csrf")


def _principal(document: dict[str, Any]) -> Principal:
    return Principal(
        document["organisation"],
        frozenset(document["municipalities"]),
        frozenset(document["scopes"]),
        document["subject"],
        datetime.fromtimestamp(document["expires_at"], UTC),
    )


def _local(path: str) -> str:
    """A path on this site; anything that a browser could read as another site becomes the front page."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain else "/"
