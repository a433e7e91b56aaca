"""The auditor's page: for who is signed in and may read the trail; what it asks for is logged as any other search."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hulpketen_contracts import CaseOpened, SignalReceived

from services.audit.settings import UnusualSettings
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, a_person, record, writer
from tests.integration.auditing import Auditor, an_auditor, sign_in
from tests.unit.chassis.issuer import TestIssuer

HTML = {"Accept": "text/html"}
MARCH = {"from": "2026-03-01", "to": "2026-03-01"}


class Read(HTMLParser):
    """The cells of the table, the links, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag == "tr":
            self.rows.append([])
        self._cell = tag == "td"

    def handle_data(self, data: str) -> None:
        if self._cell and data.strip():
            self.rows[-1].append(data.strip())


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def auditor(database: Database, issuer: TestIssuer, tmp_path: Path) -> AsyncIterator[Auditor]:
    async with an_auditor(database, issuer, tmp_path, UnusualSettings()) as one:
        await writer(database).handle(
            [
                record(a_person(), SignalReceived.TYPE, at="2026-03-01T09:00:00.000Z", sender="woonborg"),
                record(a_person(), at="2026-03-01T22:59:59.999Z"),
                record(a_person(), at="2026-03-01T23:00:00.000Z"),  # the day after, in Amsterdam
            ]
        )
        yield one


async def test_who_is_not_signed_in_is_sent_to_do_so_and_who_may_not_read_the_trail_sees_nothing(
    auditor: Auditor, issuer: TestIssuer
) -> None:
    del auditor.client.headers["authorization"]
    for path in ("/", "/unusual-access"):
        answer = await auditor.client.get(path, headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
    await sign_in(auditor, issuer, "cases:read")
    for path in ("/", "/unusual-access", "/page/audit.css", "/v1/entries"):
        assert (await auditor.client.get(path, headers=HTML)).status_code == 403


async def test_a_search_shows_a_day_of_amsterdam_and_is_logged_and_the_empty_form_is_not(
    auditor: Auditor, issuer: TestIssuer
) -> None:
    await sign_in(auditor, issuer)
    assert (await auditor.client.get("/", headers=HTML)).status_code == 200
    assert auditor.lines == []
    page = await auditor.client.get("/", params=MARCH, headers=HTML)
    shown = (await auditor.client.get("/v1/entries/0")).json()
    assert next(row[-2:] for row in Read(page.text).rows if row) == ["bewaard / kept", shown["eventId"]]
    assert [row[:3] for row in Read(page.text).rows if row] == [
        ["0", "2026-03-01T09:00:00.000Z", SignalReceived.TYPE],
        ["1", "2026-03-01T22:59:59.999Z", CaseOpened.TYPE],
    ]
    assert [line.name for line in auditor.lines] == ["search-audit-trail", "read-audit-entry"]
    assert len(auditor.accesses) == 2
    narrowed = await auditor.client.get("/", params=MARCH | {"organisation": "woonborg"}, headers=HTML)
    assert [row[0] for row in Read(narrowed.text).rows if row] == ["0"]


async def test_what_the_page_shows_can_be_taken_along_with_the_session(auditor: Auditor, issuer: TestIssuer) -> None:
    await sign_in(auditor, issuer)
    page = await auditor.client.get("/", params=MARCH | {"activity": "manage-cases"}, headers=HTML)
    table, document = [link for link in Read(page.text).links if "/export?" in link]
    assert (await auditor.client.get(table)).text.splitlines()[1].startswith("1,2026-03-01T22:59:59.999Z")
    assert [each["index"] for each in (await auditor.client.get(document)).json()["entries"]] == [1]


async def test_unusual_access_is_a_page_with_each_rule(auditor: Auditor, issuer: TestIssuer) -> None:
    await sign_in(auditor, issuer)
    page = await auditor.client.get("/unusual-access", params=MARCH, headers=HTML)
    assert page.status_code == 200
    assert page.text.count("<section>") == 3
    assert [line.name for line in auditor.lines] == ["read-unusual-access"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "soon"},
        {"to": "9999-12-31"},
        {"organisation": "<script>"},
        {"page": "0"},
    ],
)
async def test_a_form_that_makes_no_sense_is_answered_on_the_page(
    auditor: Auditor, issuer: TestIssuer, wrong: dict[str, str]
) -> None:
    await sign_in(auditor, issuer)
    for path in ("/", "/unusual-access"):
        page = await auditor.client.get(path, params=MARCH | wrong, headers=HTML)
        assert page.status_code == 400
        assert 'role="alert"' in page.text
        assert "<script" not in page.text
    assert auditor.lines == []
