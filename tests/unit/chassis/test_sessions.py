"""Sessions of pages: signing in at a real (in-memory) issuer, and what a session may and may not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends

from services.chassis.auth import Principal, TokenVerifier, requires
from services.chassis.issuer import Issuer
from services.chassis.keys import Sealer, fingerprint, new_key
from services.chassis.login import Client
from services.chassis.sessions import Session, Sessions, session_required, session_routes
from services.chassis.settings import ChassisSettings
from services.chassis.web import App, create_app
from tests.unit.chassis.conftest import Clock
from tests.unit.chassis.issuer import CLIENT, ISSUER, NOW, SECRET, TestIssuer, good_claims
from tests.unit.chassis.test_web import Runtime, problem

PUBLIC = "http://board.test:8003"
PAGE = {"accept": "text/html,application/xhtml+xml"}


class MemoryStore:
    """Sessions in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}

    async def put(self, key: str, document: dict[str, Any], expires_at: datetime) -> None:
        self.documents[key] = document

    async def get(self, key: str) -> dict[str, Any] | None:
        return self.documents.get(key)

    async def delete(self, key: str) -> None:
        self.documents.pop(key, None)


def pages() -> APIRouter:
    router = APIRouter()

    @router.get("/")
    async def board(session: Annotated[Session, Depends(session_required)]) -> dict[str, str]:
        return {"organisation": session.principal.organisation, "csrf": session.csrf, "token": session.access_token}

    @router.post("/change")
    async def change(session: Annotated[Session, Depends(session_required)]) -> dict[str, str]:
        return {"changed": "yes"}

    @router.get("/v1/events")
    async def events(principal: Annotated[Principal, Depends(requires("cases:read"))]) -> dict[str, str]:
        return {"organisation": principal.organisation}

    @router.post("/v1/things")
    async def things(principal: Annotated[Principal, Depends(requires("referrals:write"))]) -> dict[str, str]:
        return {"made": "yes"}

    return router


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def make_app(
    settings: ChassisSettings, issuer: TestIssuer, store: MemoryStore, clock: Clock, public: str = PUBLIC
) -> App:
    verifier = TokenVerifier(Issuer(settings.auth, issuer.transport), clock)
    sessions = Sessions(Client(CLIENT, SECRET, public), store, verifier, Sealer(new_key()), clock)
    routers = [session_routes(sessions), pages()]
    app = create_app("notifications", runtime=Runtime(), settings=settings, routers=routers, transport=issuer.transport)
    app.state.verifier, app.state.sessions = verifier, sessions
    return app


@pytest.fixture
def app(settings: ChassisSettings, issuer: TestIssuer, store: MemoryStore, clock: Clock) -> App:
    return make_app(settings, issuer, store, clock)


@pytest.fixture
async def browser(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, issuer: TestIssuer, path: str = "/") -> httpx.Response:
    """Follow the login to the end; what the callback answered."""
    response = await browser.get("/login", params={"next": path})
    assert response.status_code == 303
    return await browser.get("/callback", params=issuer.authorize(response.headers["location"]))


async def test_a_page_without_session_leads_to_the_login_and_back(
    browser: httpx.AsyncClient, issuer: TestIssuer
) -> None:
    response = await browser.get("/", headers=PAGE)
    assert response.status_code == 303
    assert response.headers["location"] == "/login?next=/"
    problem(await browser.get("/", headers={"accept": "*/*"}), 401)
    problem(await browser.post("/change", headers=PAGE), 401)
    response = await sign_in(browser, issuer)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert (await browser.get("/", headers=PAGE)).json()["organisation"] == "gemeente-assen"


async def test_the_login_asks_for_a_code_with_pkce_state_and_nonce(browser: httpx.AsyncClient) -> None:
    location = (await browser.get("/login")).headers["location"]
    assert location.startswith(f"{ISSUER}/authorize?")
    asked = dict(parse_qsl(urlsplit(location).query))
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["client_id"] == CLIENT
    assert asked["redirect_uri"] == f"{PUBLIC}/callback"
    assert asked["scope"] == "openid"
    assert all(len(asked[name]) >= 32 for name in ("state", "nonce", "code_challenge"))
    again = dict(parse_qsl(urlsplit((await browser.get("/login")).headers["location"]).query))
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(
    settings: ChassisSettings, issuer: TestIssuer, store: MemoryStore, clock: Clock, browser: httpx.AsyncClient
) -> None:
    cookie = (await sign_in(browser, issuer)).headers.get_list("set-cookie")[0]
    assert cookie.startswith("session-8003=")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=300"))
    assert "Secure" not in cookie
    app = make_app(settings, issuer, store, clock, "https://bord.example.nl")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://bord.example.nl") as secure:
        cookie = (await sign_in(secure, issuer)).headers.get_list("set-cookie")[0]
    assert cookie.startswith("__Host-session=")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Secure"))
    assert "Domain" not in cookie


async def test_what_is_stored_is_neither_the_cookie_nor_the_token(
    browser: httpx.AsyncClient, issuer: TestIssuer, store: MemoryStore
) -> None:
    await sign_in(browser, issuer)
    cookie = browser.cookies["session-8003"]
    (key,) = store.documents
    assert key == fingerprint(cookie)
    token = (await browser.get("/")).json()["token"]
    assert token.count(".") == 2
    assert cookie not in repr(store.documents)
    assert token not in repr(store.documents)


async def test_every_change_needs_the_csrf_token(browser: httpx.AsyncClient, issuer: TestIssuer) -> None:
    await sign_in(browser, issuer)
    csrf = (await browser.get("/")).json()["csrf"]
    for path in ("/change", "/v1/things", "/logout"):
        problem(await browser.post(path), 403, "csrf")
        problem(await browser.post(path, headers={"X-CSRF-Token": "guess"}), 403, "csrf")
        problem(await browser.post(path, headers={b"X-CSRF-Token": "é".encode()}), 403, "csrf")
        problem(await browser.post(path, data={"csrf": "guess"}), 403, "csrf")
    assert (await browser.post("/change", headers={"X-CSRF-Token": csrf})).status_code == 200
    assert (await browser.post("/change", data={"csrf": csrf})).status_code == 200
    assert (await browser.post("/v1/things", headers={"X-CSRF-Token": csrf})).json() == {"made": "yes"}


async def test_routes_take_a_session_as_they_take_a_token(browser: httpx.AsyncClient, issuer: TestIssuer) -> None:
    problem(await browser.get("/v1/events"), 401)
    await sign_in(browser, issuer)
    assert (await browser.get("/v1/events")).json() == {"organisation": "gemeente-assen"}
    problem(await browser.get("/v1/events", headers={"authorization": "Bearer nonsense"}), 401)
    problem(await browser.get("/metrics"), 403)


async def test_a_session_ends_with_its_token_and_by_logging_out(
    browser: httpx.AsyncClient, issuer: TestIssuer, app: App, store: MemoryStore, clock: Clock
) -> None:
    sessions: Sessions = app.state.sessions
    await sign_in(browser, issuer)
    page = (await browser.get("/")).json()
    (key,) = store.documents
    session = Session(key, Principal("", frozenset(), frozenset(), "", _expiry()), "", "")
    assert await sessions.alive(session)
    clock.now += 300
    problem(await browser.get("/"), 401)
    assert not await sessions.alive(session)
    clock.now -= 300
    cookie = browser.cookies["session-8003"]
    response = await browser.post("/logout", data={"csrf": page["csrf"]})
    assert response.headers["location"] == "/signed-out"
    assert "uitgelogd" in (await browser.get("/signed-out")).text
    assert "session-8003" not in browser.cookies
    browser.cookies.set("session-8003", cookie)
    problem(await browser.get("/"), 401)
    assert not await sessions.alive(session)


def _expiry() -> datetime:
    return datetime.fromtimestamp(NOW + 300).astimezone()


async def test_a_new_login_ends_the_session_that_was_there(
    browser: httpx.AsyncClient, issuer: TestIssuer, store: MemoryStore
) -> None:
    await sign_in(browser, issuer)
    before = dict(store.documents)
    await sign_in(browser, issuer)
    assert len(store.documents) == 1
    assert set(store.documents) != set(before)


async def test_an_answer_that_this_browser_did_not_ask_for_is_refused(
    browser: httpx.AsyncClient, issuer: TestIssuer, store: MemoryStore, clock: Clock
) -> None:
    problem(await browser.get("/callback", params={"code": "code-1", "state": "a"}), 400, "login")
    location = (await browser.get("/login")).headers["location"]
    answer = issuer.authorize(location)
    for wrong in ({"state": "another"}, {"code": ""}, {"state": ""}):
        problem(await browser.get("/callback", params=answer | wrong), 400, "login")
    problem(await browser.get("/callback?error=access_denied"), 400, "login")
    clock.now += 600
    problem(await browser.get("/callback", params=answer), 400, "login")
    assert store.documents == {}


async def test_another_browsers_code_is_useless_here(browser: httpx.AsyncClient, issuer: TestIssuer) -> None:
    await browser.get("/login")
    mine = issuer.authorize((await browser.get("/login")).headers["location"])
    issuer.codes["code-1"] |= {"code_challenge": "of-another-browser"}
    problem(await browser.get("/callback", params=mine), 400, "login")


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "replayed"},
        {"aud": "another-client"},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"sub": "employee-2"},
        {"iss": "http://another.test"},
        {"exp": NOW - 60},
    ],
)
async def test_an_id_token_for_another_login_is_refused(
    changes: dict[str, Any], browser: httpx.AsyncClient, issuer: TestIssuer, store: MemoryStore
) -> None:
    answer = issuer.authorize((await browser.get("/login")).headers["location"])
    nonce = issuer.codes["code-1"]["nonce"]
    issuer.token_answer = {"id_token": issuer.token(good_claims(aud=CLIENT, nonce=nonce) | changes)}
    problem(await browser.get("/callback", params=answer), 400, "login")
    assert store.documents == {}


async def test_an_issuer_that_is_away_is_said_so(browser: httpx.AsyncClient, issuer: TestIssuer) -> None:
    answer = issuer.authorize((await browser.get("/login")).headers["location"])
    issuer.away = True
    problem(await browser.get("/callback", params=answer), 503)


@pytest.mark.parametrize(
    "path", ["//evil.test", "https://evil.test", "/\\evil.test", "/a\r\nSet-Cookie: b=c", "javascript:alert(1)", ""]
)
async def test_the_login_leads_back_to_this_site_only(
    path: str, browser: httpx.AsyncClient, issuer: TestIssuer
) -> None:
    assert (await sign_in(browser, issuer, path)).headers["location"] == "/"


async def test_a_session_of_another_key_is_as_none(
    browser: httpx.AsyncClient, issuer: TestIssuer, app: App, store: MemoryStore
) -> None:
    await sign_in(browser, issuer)
    for document in store.documents.values():
        document["access_token"] = Sealer(new_key()).seal(b"x", b"y")
    problem(await browser.get("/"), 401)
