"""The table of who may read what of the audit, walked over HTTP: each reader has what it may, and nothing else."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, get_args

import httpx
import pytest
import pytest_asyncio

from deploy.local.access import SCOPES
from services.audit.domain.access import EMPLOYEES, TABLE, Reader, Rule
from services.audit.main import build
from services.audit.resident_store import ResidentStore
from services.audit.settings import Settings
from services.audit.store import SCHEMA
from services.chassis.keys import fingerprint
from services.chassis.mongo.indexes import make_all
from services.chassis.service import now
from services.chassis.web import App
from tests.conftest import Infrastructure
from tests.integration.applications import applications, routes
from tests.unit.chassis.issuer import CLIENT, ISSUER, SECRET, TestIssuer, good_claims

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = "http://audit.test"
READERS: list[Reader] = list(get_args(Reader))
VALUES = {"index": "0", "level": "0", "place:path": "000", "event": str(uuid.uuid4())}
DAY = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
QUERIES: dict[str, dict[str, str]] = {
    "GET /v1/trail/consistency-proofs": {"from": "0", "to": "1"},
    "GET /v1/trail/inclusion-proofs": {"index": "0", "size": "1"},
    "GET /v1/entries/export": {"format": "json"},
    "GET /v1/unusual-access": DAY,
}
BODIES: dict[str, dict[str, str]] = {
    "POST /lezenapi/v1/processing-activities": {"traceId": str(uuid.uuid4())},
    "POST /v1/resident-codes": {"case": str(uuid.uuid4())},
    "PUT /v1/trail/witness-key": {"vkey": "no-key"},
    "POST /v1/trail/cosignatures": {"checkpoint": "no checkpoint"},
}
# The audit under test is empty and signs nothing. Whoever is let in is told so, or that what was sent is no key.
ANSWERS: dict[str, int] = {
    **dict.fromkeys(("GET /v1/trail/checkpoint", "GET /v1/trail/cosigned-checkpoint"), 404),
    **dict.fromkeys(("GET /v1/trail/tile/{level}/{place:path}",), 404),
    **dict.fromkeys(("GET /v1/trail/consistency-proofs", "GET /v1/trail/inclusion-proofs"), 404),
    **dict.fromkeys(("GET /v1/trail/tile/entries/{place:path}", "GET /v1/trail/proofs/{event}"), 404),
    **dict.fromkeys(("GET /v1/entries/{index}", "POST /v1/resident-codes"), 404),
    **dict.fromkeys(("PUT /v1/trail/witness-key", "POST /v1/trail/cosignatures", "POST /my-data/sign-in"), 400),
    **dict.fromkeys(("POST /my-data/sign-out", "GET /login", "POST /logout"), 303),
    "GET /callback": 400,
}


class World(NamedTuple):
    """The audit as it is put together, on a database of its own, and a client for each reader."""

    app: App
    readers: dict[str, httpx.AsyncClient]
    """By the reader; the session of an employee at the auditor's page by "page of …"."""


@pytest.fixture(scope="module")
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    stack_infra: Infrastructure, issuer: TestIssuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    name, folder = f"audit_{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("access")
    app = build(_settings(stack_infra, name, folder), issuer.transport)
    service = app.state.runtime
    service.catch_up.done = True
    await service.keys.prepare()
    await make_all(service.database, SCHEMA.indexes)
    readers: dict[str, httpx.AsyncClient] = {}
    try:
        for reader in READERS:
            readers[reader] = _client(app)
            if reader in EMPLOYEES or reader == "any token":
                token = _token(issuer, SCOPES.get(reader, ""))
                readers[reader].headers["authorization"] = f"Bearer {token}"
        for role in SCOPES:
            readers[f"page of {role}"] = await _signed_in(app, issuer, SCOPES[role])
        cookie, until = uuid.uuid4().hex, now() + timedelta(hours=1)
        await ResidentStore(service.database).begin(fingerprint(cookie), str(uuid.uuid4()), until)
        readers["resident"].cookies.set("resident", cookie)
        yield World(app, readers)
    finally:
        for client in readers.values():
            await client.aclose()
        await service.client.drop_database(name)
        await service.keys.close()
        service.client.close()


def _settings(infrastructure: Infrastructure, database: str, folder: Path) -> Settings:
    sections = ("service", "http", "telemetry", "log", "pipeline", "audit")
    return Settings.model_validate(
        {
            **{name: {} for name in sections},
            "kafka": infrastructure.settings,
            "mongo": {"uri": infrastructure.mongo, "database": database},
            "auth": {"issuer": ISSUER, "audience": "audit"},
            "keys": {"file": folder / "keys.json"},
            "page": {"public_url": URL, "client_id": CLIENT, "client_secret": SECRET},
        }
    )


def _client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL)


def _token(issuer: TestIssuer, scope: str) -> str:
    at = int(time.time())
    return issuer.token(good_claims(aud=["audit"], iat=at, exp=at + 300, scope=scope))


async def _signed_in(app: App, issuer: TestIssuer, scope: str) -> httpx.AsyncClient:
    client = _client(app)
    answer = issuer.authorize((await client.get("/login")).headers["location"])
    at, nonce = int(time.time()), issuer.codes["code-1"]["nonce"]
    mine = good_claims(aud=CLIENT, nonce=nonce, iat=at, exp=at + 300)
    issuer.token_answer = {"access_token": _token(issuer, scope), "id_token": issuer.token(mine)}
    assert (await client.get("/callback", params=answer)).status_code == 303
    return client


async def _ask(client: httpx.AsyncClient, route: str) -> httpx.Response:
    method, path = route.split(" ")
    url = re.sub(r"{([\w:]+)}", lambda found: VALUES[found[1]], path)
    return await client.request(method, url, params=QUERIES.get(route), json=BODIES.get(route))


def _rows(*doors: str) -> list[tuple[Rule, str]]:
    return [(rule, route) for rule in TABLE.values() if rule.door in doors for route in rule.routes]


async def test_every_route_of_the_audit_is_in_one_row(tmp_path: Path, issuer: TestIssuer) -> None:
    apps = {name: set(routes(app)) for name, app in applications(tmp_path, issuer).items()}
    of_every_service = set.intersection(*apps.values())
    named = [tuple(route.split(" ")) for rule in TABLE.values() for route in rule.routes]
    assert len(named) == len(set(named))
    assert set(named) == apps["audit"] - of_every_service


async def test_the_roles_are_those_that_sign_in() -> None:
    assert set(SCOPES) == EMPLOYEES
    for rule in TABLE.values():
        if rule.scopes:
            assert {role for role in SCOPES if {*SCOPES[role].split()} & {*rule.scopes}} == rule.readers, rule.what


@pytest.mark.parametrize("reader", READERS)
async def test_a_reader_has_what_the_table_says_and_nothing_else(world: World, reader: Reader) -> None:
    client = world.readers[reader]
    for rule, route in _rows("token"):
        answer = await _ask(client, route)
        with_token = "authorization" in client.headers
        expected = ANSWERS.get(route, 200) if reader in rule.readers else 403 if with_token else 401
        assert answer.status_code == expected, (reader, route, answer.text)
        if reader not in rule.readers:
            assert answer.headers["content-type"] == "application/problem+json"
    for _, route in _rows("session"):
        assert (await _ask(client, route)).status_code == 401, (reader, route)


@pytest.mark.parametrize("role", sorted(SCOPES))
async def test_a_session_of_the_page_opens_it_to_who_may_and_to_nobody_else(world: World, role: Reader) -> None:
    for rule, route in _rows("session"):
        answer = await _ask(world.readers[f"page of {role}"], route)
        assert answer.status_code == (200 if role in rule.readers else 403), (role, route)


@pytest.mark.parametrize("reader", READERS)
async def test_own_data_are_shown_to_a_resident_alone(world: World, reader: Reader) -> None:
    (rule, route), client = _rows("resident")[0], world.readers[reader]
    answer = await _ask(client, route)
    assert answer.status_code == 200
    assert ('name="code"' not in answer.text) == (reader in rule.readers)


@pytest.mark.parametrize("reader", [reader for reader in READERS if reader != "resident"])
async def test_the_doors_are_open_to_all(world: World, reader: Reader) -> None:
    """But for a resident, whom signing out would sign out."""
    for _, route in _rows("open"):
        answer = await _ask(world.readers[reader], route)
        assert answer.status_code == ANSWERS.get(route, 200), (reader, route, answer.text)
