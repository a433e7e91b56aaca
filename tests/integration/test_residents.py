"""A resident sees what was done with their own data, after a code that somebody of their municipality gave."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from hulpketen_contracts import OrganisationChanged, PersonErased, PersonMerged
from playwright.async_api import async_playwright, expect

from services.audit import organisations, residents
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, a_person, record, writer
from tests.integration.auditing import Auditor, an_auditor, token
from tests.integration.test_notifications_board import CHROMIUM, SWITCHES, browser_test
from tests.integration.test_processing_log_api import a_look
from tests.unit.chassis.issuer import TestIssuer

MAATJES = "Maatjes (verzonnen)"
LOOKED, RELEASED = "Uw naam en contactgegevens zijn bekeken.", "Uw geheime contactgegevens"


class Chain(NamedTuple):
    """The audit's routes, and one resident of Assen with a case."""

    audit: Auditor
    database: Database
    issuer: TestIssuer
    person: str
    case: str

    async def happens(self, *records: Any) -> None:
        await writer(self.database).handle(records)

    async def ask(self, case: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token(self.issuer, 'persons:write', **more)}"}
        return await self.audit.client.post("/v1/resident-codes", json={"case": case}, headers=headers)

    async def code(self, case: str = "") -> str:
        answer = await self.ask(case or self.case)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    async def enter(self, code: str, **headers: str) -> httpx.Response:
        del self.audit.client.headers["authorization"]
        try:
            return await self.audit.client.post("/my-data/sign-in?lang=nl", data={"code": code}, headers=headers)
        finally:
            self.audit.client.headers["authorization"] = "Bearer none"

    async def page(self, query: str = "") -> str:
        answer = await self.audit.client.get(f"/my-data{query}")
        assert answer.status_code == 200
        return answer.text


@pytest.fixture(scope="module")
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def chain(stack_infra: Infrastructure, issuer: TestIssuer, tmp_path: Path) -> AsyncIterator[Chain]:
    async with a_database(stack_infra) as database, an_auditor(database, issuer, tmp_path) as audit:
        person, case = a_person(), str(uuid.uuid4())
        chain = Chain(audit, database, issuer, person, case)
        await chain.happens(
            record("", OrganisationChanged.TYPE, organisation="maatjes", name=MAATJES),
            record(person, case=case, municipality="0106"),
            a_look(person, secrets.token_hex(16), organisation="maatjes"),
        )
        yield chain


async def test_a_code_shows_who_did_what_and_why_and_works_once(chain: Chain) -> None:
    code = await chain.code()
    answer = await chain.enter(code.lower().replace("-", " "))
    assert (answer.status_code, answer.headers["location"]) == (303, "/my-data?lang=nl")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert code not in str(answer.headers)
    page = await chain.page()
    assert LOOKED in page
    assert MAATJES in page
    assert "Om contact met u op te nemen over hulp." in page
    assert page.index(LOOKED) < page.index("Uw dossier is geopend")  # the newest first
    assert "Your name and contact details were looked at." in await chain.page("?lang=en")
    again = await chain.enter(code)
    assert (again.status_code, "Deze code werkt niet" in again.text) == (400, True)


async def test_the_code_and_each_look_at_the_page_are_in_the_processing_log_before_the_answer(chain: Chain) -> None:
    await chain.enter(await chain.code())
    await chain.page()
    assert [(line.activity, line.organisation, line.subject) for line in chain.audit.lines] == [
        ("give-resident-code", "rekenkamer", chain.person),
        ("view-own-data", None, chain.person),
    ]
    chain.audit.log_answers = False
    answer = await chain.audit.client.get("/my-data")
    assert answer.status_code == 503
    assert LOOKED not in answer.text
    assert (await chain.ask(chain.case)).status_code == 503


async def test_what_the_resident_did_themselves_is_said_so_and_once(chain: Chain) -> None:
    merged = a_person()
    await chain.happens(record(merged, PersonMerged.TYPE, into=chain.person))
    await chain.enter(await chain.code())
    await chain.page()
    own_looks = [line for line in chain.audit.lines if line.activity == residents.ACTIVITY]
    assert [line.subject for line in own_looks] == [chain.person]
    await chain.happens(a_look(chain.person, secrets.token_hex(16), activity=residents.ACTIVITY, organisation=None))
    page = await chain.page()
    assert page.count("<dd>uzelf</dd>") == 1
    assert "<dd>de computer van de hulpketen</dd>" not in page.partition("<dd>uzelf</dd>")[0]
    assert "<dd>yourself</dd>" in await chain.page("?lang=en")


async def test_what_the_register_does_not_know_is_shown_all_the_same(chain: Chain) -> None:
    await chain.happens(a_look(chain.person, secrets.token_hex(16), activity="not-in-the-register"))
    await chain.enter(await chain.code())
    assert "Er is iets met uw gegevens gedaan." in await chain.page()


async def test_an_organisation_is_called_as_the_directory_last_called_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organisations, "HELD_S", 0)
    await chain.enter(await chain.code())
    renamed = {"organisation": "maatjes", "name": "Maatjes Drenthe (verzonnen)"}
    await chain.happens(
        record("", OrganisationChanged.TYPE, at="2026-04-01T09:00:00Z", **renamed),
        record("", OrganisationChanged.TYPE, at="2026-05-01T09:00:00Z", organisation="maatjes", name=["no name"]),
    )
    page = await chain.page()
    assert (renamed["name"] in page, MAATJES in page) == (True, False)


async def test_nobody_of_another_municipality_gets_a_code_nor_learns_that_there_is_such_a_case(chain: Chain) -> None:
    other = await chain.ask(chain.case, municipalities=["1680"])
    none = await chain.ask(str(uuid.uuid4()))
    assert other.status_code == none.status_code == 404
    assert other.json()["detail"] == none.json()["detail"]


@pytest.mark.parametrize("entered", ["", "ABCD-EFGH-2345", "x" * 100, "'; drop"])
async def test_what_is_no_code_lets_nobody_in(chain: Chain, entered: str) -> None:
    await chain.code()
    answer = await chain.enter(entered)
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    assert LOOKED not in await chain.page()


async def test_a_new_code_takes_the_place_of_the_one_before(chain: Chain) -> None:
    first, second = await chain.code(), await chain.code()
    assert (await chain.enter(first)).status_code == 400
    assert (await chain.enter(second)).status_code == 303


async def test_who_guesses_on_is_kept_out(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residents, "TRIES_A_MINUTE", 0)
    # What is no code at all is no guess, and keeps nobody out.
    assert (await chain.enter("x")).status_code == 400
    answer = await chain.enter(await chain.code())
    assert (answer.status_code, "Probeer het over een minuut opnieuw" in answer.text) == (429, True)


async def test_another_site_cannot_send_the_form(chain: Chain) -> None:
    answer = await chain.enter(await chain.code(), **{"sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "csrf")


async def test_a_resident_sees_those_who_were_merged_into_them_and_nobody_else(chain: Chain) -> None:
    merged, stranger = a_person(), a_person()
    await chain.happens(
        a_look(merged, secrets.token_hex(16), activity="release-contact"),
        a_look(stranger, secrets.token_hex(16), activity="link-household"),
    )
    await chain.enter(await chain.code())
    assert RELEASED not in await chain.page()
    await chain.happens(record(merged, PersonMerged.TYPE, into=chain.person))
    page = await chain.page()
    assert RELEASED in page
    assert "samenwoont" not in page


async def test_who_was_merged_into_another_sees_all_of_both(chain: Chain) -> None:
    whole = a_person()
    await chain.happens(
        a_look(whole, secrets.token_hex(16), activity="release-contact"),
        record(chain.person, PersonMerged.TYPE, into=whole),
    )
    await chain.enter(await chain.code())
    page = await chain.page()
    assert LOOKED in page
    assert RELEASED in page


async def test_after_an_erasure_there_is_nothing_and_no_code(chain: Chain) -> None:
    await chain.enter(await chain.code())
    await chain.happens(record(chain.person, PersonErased.TYPE))
    assert 'name="code"' in await chain.page()
    assert (await chain.ask(chain.case)).status_code == 404


async def test_after_leaving_the_page_shows_nothing(chain: Chain) -> None:
    await chain.enter(await chain.code())
    kept = dict(chain.audit.client.cookies)
    answer = await chain.audit.client.post("/my-data/sign-out")
    assert answer.status_code == 303
    chain.audit.client.cookies.update(kept)
    assert LOOKED not in await chain.page()


async def test_what_was_done_comes_in_pages(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residents, "PER_PAGE", 1)
    await chain.enter(await chain.code())
    first, second = await chain.page(), await chain.page("?page=2")
    assert (LOOKED in first, LOOKED in second) == (True, False)
    assert 'rel="next"' in first
    assert 'rel="next"' not in second


@browser_test
async def test_the_page_in_a_browser_without_scripts(chain: Chain) -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(chain.audit.app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
            page = await browser.new_page(java_script_enabled=False, viewport={"width": 360, "height": 740})
            await page.goto(f"{url}/my-data")
            await page.get_by_label("Uw code").fill("ABCD-EFGH-2345")
            await page.get_by_role("button", name="Bekijk mijn gegevens").click()
            await expect(page.get_by_role("alert")).to_contain_text("Deze code werkt niet")
            await page.get_by_label("Uw code").fill(await chain.code())
            await page.get_by_role("button", name="Bekijk mijn gegevens").click()
            await expect(page.get_by_role("heading", name=LOOKED)).to_be_visible()
            assert re.fullmatch(re.escape(url) + r"/my-data\?lang=nl", page.url)
            await page.get_by_role("link", name="English").click()
            await expect(page.get_by_text("To contact you about help.")).to_be_visible()
            await page.get_by_role("button", name="Leave").click()
            await expect(page.get_by_label("Your code")).to_be_visible()
            await browser.close()
    finally:
        server.should_exit = True
        await serving
