"""docs/routes.md is what the services answer, and each of these routes lets in whom it says, and nobody else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio

from deploy.local.access import SCOPES
from services.chassis.web import App
from tests.integration.applications import applications, routes
from tests.unit.chassis.issuer import TestIssuer, good_claims

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = Path(__file__).parents[2] / "docs" / "routes.md"
ALL_SCOPES = frozenset(" ".join(SCOPES.values()).split())
OPEN, SESSION, ANY_TOKEN = "open", "session", "any token"
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
VALUES = {"index": "0", "kind": "referrals", "action": "accept"}
MUST_BE_OPEN = {
    *("GET /test", "GET /test/test.css", "GET /test/test.js"),
    *("GET /v1/questionnaires/current", "POST /v1/tests"),
    *("POST /v1/tests/{test}/choice", "POST /v1/tests/{test}/choice/verify"),
    *("GET /livez", "GET /readyz"),
    *("GET /login", "GET /callback", "POST /logout", "GET /signed-out"),
    *("GET /my-data", "GET /my-data/resident.css", "POST /my-data/sign-in", "POST /my-data/sign-out"),
}


class Row(NamedTuple):
    """A row of the page."""

    service: str
    method: str
    path: str
    scope: str

    @property
    def scopes(self) -> frozenset[str]:
        """Those of which one is needed."""
        return frozenset(self.scope.split("` or `"))

    @property
    def url(self) -> str:
        """The path with something in the place of each of its parameters."""
        return re.sub(r"{(\w+)}", lambda found: VALUES.get(found[1], ID), self.path)


def _rows() -> Iterator[Row]:
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for method, path, scope in re.findall(r"^\| `([A-Z]+) (\S+)` \| ([^|]+) \|", section, re.MULTILINE):
            for service in ("intake", "matching", "notifications", "audit"):
                if title in (service, "every service"):
                    yield Row(service, method, path, scope.strip("`"))


ROWS = list(_rows())


@pytest.fixture(scope="module")
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apps(tmp_path_factory: pytest.TempPathFactory, issuer: TestIssuer) -> dict[str, App]:
    return applications(tmp_path_factory.mktemp("keys"), issuer)


def _token(issuer: TestIssuer, service: str, scopes: frozenset[str]) -> dict[str, str]:
    at = int(time.time())
    claims = good_claims(aud=[service], iat=at, exp=at + 300, scope=" ".join(sorted(scopes)))
    return {"Authorization": f"Bearer {issuer.token(claims)}"}


async def _ask(app: App, row: Row, headers: dict[str, str]) -> httpx.Response:
    body: dict[str, str] | None = None if row.method == "GET" else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.test") as client:
        return await client.request(row.method, row.url, json=body, headers=headers)


async def test_the_page_names_every_route_and_no_other(apps: dict[str, App]) -> None:
    for service, app in apps.items():
        assert {(r.method, r.path) for r in ROWS if r.service == service} == set(routes(app)), service


async def test_what_is_open_is_what_must_be() -> None:
    assert {f"{row.method} {row.path}" for row in ROWS if row.scope == OPEN} == MUST_BE_OPEN
    assert frozenset().union(*(row.scopes for row in ROWS)) <= ALL_SCOPES | {OPEN, SESSION, ANY_TOKEN}


async def test_who_has_no_token_is_let_in_nowhere_else(apps: dict[str, App]) -> None:
    for row in ROWS:
        if row.scope != OPEN:
            answer = await _ask(apps[row.service], row, {})
            assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, "Bearer"), row
            assert answer.headers["content-type"] == "application/problem+json", row


async def test_a_token_opens_no_route_whose_scope_it_lacks(apps: dict[str, App], issuer: TestIssuer) -> None:
    for row in ROWS:
        if row.scopes <= ALL_SCOPES:
            answer = await _ask(apps[row.service], row, _token(issuer, row.service, ALL_SCOPES - row.scopes))
            assert answer.status_code == 403, row
            assert f'scope="{" ".join(sorted(row.scopes))}"' in answer.headers["www-authenticate"], row


async def test_broken_json_is_not_looked_at_before_who_sends_it(apps: dict[str, App], issuer: TestIssuer) -> None:
    """Each route that takes a body, as the services declare them."""
    asked = 0
    for service, app in apps.items():
        lacking = _token(issuer, service, frozenset())
        for method, path in routes(app):
            if method == "GET" or f"{method} {path}" in MUST_BE_OPEN:
                continue
            url = Row(service, method, path, "").url
            for headers, status in (({}, 401), ({"Authorization": "Bearer a.b.c"}, 401), (lacking, 403)):
                async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a.test") as client:
                    given = headers | {"Content-Type": "application/json"}
                    answer = await client.request(method, url, content=b"{", headers=given)
                expected = 401 if path.startswith("/board/") else status
                assert answer.status_code == expected, (service, method, path, answer.text)
                asked += 1
    assert asked > 3 * 20


async def test_a_token_opens_no_page_and_no_other_service(apps: dict[str, App], issuer: TestIssuer) -> None:
    for row in ROWS:
        if row.scope != OPEN:
            other = "audit" if row.service != "audit" else "intake"
            audience = row.service if row.scope == SESSION else other
            answer = await _ask(apps[row.service], row, _token(issuer, audience, ALL_SCOPES))
            assert answer.status_code == 401, row


async def test_a_browser_without_a_session_is_sent_to_the_login(apps: dict[str, App]) -> None:
    answer = await _ask(apps["notifications"], Row("notifications", "GET", "/", SESSION), {"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")
