"""The partner board: its routes with a session, and the page itself in a browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hulpketen_contracts import CaseUpdated, ReferralAccepted, ReferralCancelled
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import Infrastructure
from tests.integration.notifications import FILE, Notifications, running
from tests.unit.chassis.issuer import CLIENT
from tests.unit.notifications.events import CASE, REFERRAL, case, proposed, referral

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browser_test = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SOMEBODY = {
    "person": {"name": "J. Verzonnen", "phone": "0612345678"},
    "safeContact": {"restricted": True, "rules": ["letter", "secret-address"]},
    "withheld": ["postcode"],
}


CODE = {"code": "KDRM-7WXQ", "expiresAt": "2026-11-23T16:30:00Z", "page": "https://audit.example/my-data"}
ANSWERS = {"intake.test": SOMEBODY, "audit.test": CODE}


class Neighbours:
    """Matching, intake and audit: they keep what they were asked, and answer with `status`."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.status = 200
        self.away = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.away:
            raise httpx.ConnectError("away", request=request)
        if self.status >= 400:
            problem = {"title": "secret", "detail": "J. Verzonnen", "allowed": ["start"]}
            return httpx.Response(self.status, json=problem)
        return httpx.Response(200, json=ANSWERS.get(request.url.host, {}))


async def sign_in(service: Notifications, role: str, organisation: str) -> httpx.AsyncClient:
    """A client with a session cookie, as the issuer's login leaves it."""
    client = httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=20)
    asked = await client.get("/login")
    answer = service.issuer.authorize(asked.headers["location"])
    claims = service.claims(role, organisation)
    about = {"aud": CLIENT, "nonce": service.issuer.codes["code-1"]["nonce"]}
    service.issuer.token_answer = {
        "access_token": service.issuer.token(claims),
        "id_token": service.issuer.token({name: claims[name] for name in ("iss", "iat", "exp", "sub")} | about),
    }
    back = await client.get("/callback", params=answer)
    assert (back.status_code, back.headers["location"]) == (303, "/"), back.text
    return client


async def csrf(client: httpx.AsyncClient) -> str:
    """The token that the page holds."""
    page = await client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    return page.text.partition('<meta name="csrf" content="')[2].partition('"')[0]


@asynccontextmanager
async def a_board(
    infrastructure: Infrastructure, folder: Path, **own: Any
) -> AsyncIterator[tuple[Notifications, Neighbours]]:
    """A service with a referral from the municipality to the volunteers; `own`: settings of its own."""
    neighbours = Neighbours()
    async with running(infrastructure, folder, outside=neighbours, **own) as service:
        for name in ("gemeente-assen", "maatjes"):
            await service.organisation(name)
        await service.publish(case(), FILE)
        await service.publish(proposed(), FILE)
        await service.publish(referral(from_organisation="gemeente-assen"), FILE)
        await service.last("maatjes", 1)
        yield service, neighbours


async def test_buttons_act_as_who_is_signed_in_and_refusals_are_plain_dutch(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with a_board(stack_infra, tmp_path) as (service, neighbours):
        nobody = await service.http.get("/", headers={"Accept": "text/html"})
        assert (nobody.status_code, nobody.headers["location"]) == (303, "/login?next=/")
        assert (await service.http.get("/board/me")).status_code == 401
        client = await sign_in(service, "partner", "maatjes")
        me = (await client.get("/board/me")).json()
        assert (me["organisation"], me["cases"]) == ("maatjes", False)
        assert me["names"]["organisations"]["gemeente-assen"] == "gemeente-assen (verzonnen)"
        assert all(len(text) == 2 for text in me["texts"].values())

        path = f"/board/referrals/{REFERRAL}/decline"
        key = {"Idempotency-Key": "key-1"}
        assert (await client.post(path, json={"reason": "capacity"}, headers=key)).status_code == 403
        assert neighbours.asked == []
        allowed = key | {"X-CSRF-Token": await csrf(client)}
        assert (await client.post(path, json={"reason": "capacity"}, headers=allowed)).status_code == 200
        (asked,) = neighbours.asked
        assert (str(asked.url), json.loads(asked.content)) == (
            f"http://matching.test/v1/referrals/{REFERRAL}/decline",
            {"reason": "capacity"},
        )
        assert asked.headers["idempotency-key"] == "key-1"
        assert asked.headers["authorization"] == f"Bearer {service.issuer.token_answer['access_token']}"
        assert "traceparent" in asked.headers

        neighbours.status = 409
        refused = await client.post(path, json={"reason": "capacity"}, headers=allowed)
        assert refused.status_code == 409
        assert refused.json()["detail"].startswith("Dit kan nu niet")
        assert refused.json()["allowed"] == ["start"]
        assert "Verzonnen" not in refused.text
        neighbours.status, neighbours.away = 200, True
        assert (await client.get(f"/board/referrals/{REFERRAL}/person")).status_code == 503
        assert (await client.post(f"{path}-it", json={}, headers=allowed)).status_code == 400
        await client.aclose()


async def test_a_stream_ends_when_its_session_does(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with a_board(stack_infra, tmp_path) as (service, _):
        client = await sign_in(service, "partner", "maatjes")
        token = await csrf(client)
        async with asyncio.timeout(15), client.stream("GET", "/v1/events") as answer:
            chunks = answer.aiter_raw()
            await anext(chunks)
            out = await client.post("/logout", headers={"X-CSRF-Token": token})
            assert out.status_code == 303
            began = time.monotonic()
            async for chunk in chunks:
                assert b"still here" in chunk
            assert time.monotonic() - began < 5
        assert (await client.get("/v1/events")).status_code == 401
        await client.aclose()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        await browser.close()


async def a_page(browser: Browser, service: Notifications, role: str, organisation: str) -> Page:
    """The board, signed in; an error in its script fails the test."""
    client = await sign_in(service, role, organisation)
    cookies: list[Any] = [{"name": c.name, "value": c.value or "", "url": service.url} for c in client.cookies.jar]
    context = await browser.new_context()
    await context.add_cookies(cookies)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    await page.goto(service.url)
    if role != "sender":
        await expect(page.locator("#live")).to_have_attribute("data-live", "yes", timeout=10_000)
    await client.aclose()
    return page


@browser_test
@pytest.mark.browser
async def test_the_board_in_a_browser(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with a_board(stack_infra, tmp_path) as (service, neighbours), chromium() as browser:
        page = await a_page(browser, service, "partner", "maatjes")
        card = page.locator("#referrals li").first
        await expect(card).to_contain_text("Nieuw")
        await expect(page.locator("#cases")).to_be_hidden()

        await card.get_by_role("button", name="Afwijzen").click()
        await page.get_by_label("Geen plaats").check()
        await page.get_by_role("button", name="Bevestigen").click()
        await _until(lambda: len(neighbours.asked) == 1)
        assert neighbours.asked[0].url.path.endswith("/decline")

        await card.get_by_role("button", name="Over wie gaat het?").click()
        dialog = page.locator("#person")
        await expect(dialog.locator(".notice")).to_contain_text("Stuur geen brief.")
        await expect(dialog).to_contain_text("J. Verzonnen")
        await expect(dialog).to_contain_text("Postcode")
        await expect(dialog.get_by_role("button", name="Contactgegevens vrijgeven")).to_have_count(0)
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()

        accepted = referral(ReferralAccepted, from_organisation="gemeente-assen", status="accepted", version=2)
        await service.publish(accepted, FILE)
        await expect(card).to_contain_text("Geaccepteerd")
        await expect(card.get_by_role("button", name="Hulp starten")).to_be_visible()
        await expect(card.get_by_role("button", name="Afwijzen")).to_have_count(0)

        neighbours.status = 409
        await card.get_by_role("button", name="Hulp starten").click()
        await expect(page.get_by_role("alert")).to_contain_text("Dit kan nu niet")
        await page.get_by_role("button", name="English").click()
        await expect(page.get_by_role("alert")).to_contain_text("not possible now")
        await expect(card).to_contain_text("Accepted")


@browser_test
@pytest.mark.browser
async def test_the_coordinators_board_and_a_stream_that_breaks(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with chromium() as browser:
        async with a_board(stack_infra, tmp_path) as (service, neighbours):
            page = await a_page(browser, service, "coordinator", "gemeente-assen")
            await page.locator("#cases summary").click()
            flagged = case(CaseUpdated, version=2, flags=["choice-not-offered", "of-a-later-version"])
            await service.publish(flagged, FILE)
            flags = page.locator("#cases .flags li")
            await expect(flags.first).to_contain_text("De inwoner koos hulp die er nu niet is.")
            await expect(flags.last).to_contain_text("Iemand moet naar deze zaak kijken.")
            listed = await service.http.get("/v1/cases", headers=service.token("coordinator", "gemeente-assen"))
            assert listed.json()["items"][0]["flags"] == ["choice-not-offered", "of-a-later-version"]
            proposal = page.locator("#cases details li").first
            await expect(proposal).to_contain_text("Er is nog plaats.")
            await expect(proposal.get_by_role("button", name="Verwijs")).to_have_count(0)  # it is referred already
            cancelled = referral(
                ReferralCancelled, from_organisation="gemeente-assen", status="cancelled", reason="other", version=2
            )
            await service.publish(cancelled, FILE)
            await proposal.get_by_role("button", name="Verwijs").click()
            await _until(lambda: len(neighbours.asked) == 1)
            assert json.loads(neighbours.asked[0].content) == {"case": CASE, "service": "maatjes-thuis"}
        await expect(page.locator("#live")).to_have_attribute("data-live", "no", timeout=10_000)
        await expect(page.locator("#live")).to_contain_text("Niet live")


@browser_test
@pytest.mark.browser
async def test_a_professional_releases_what_is_withheld_and_says_why(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with chromium() as browser, a_board(stack_infra, tmp_path) as (service, neighbours):
        page = await a_page(browser, service, "coordinator", "gemeente-assen")
        await page.locator("#referrals li").first.get_by_role("button", name="Over wie gaat het?").click()
        await page.get_by_role("button", name="Contactgegevens vrijgeven").click()
        await expect(page.locator("#choice")).to_contain_text("Wat mag de ontvanger van deze verwijzing zien?")
        await expect(page.get_by_label("Het telefoonnummer")).to_be_checked()  # it is shown already
        await expect(page.get_by_label("Het adres")).not_to_be_checked()
        await expect(page.get_by_label("Het e-mailadres")).to_have_count(0)  # there is none
        await page.get_by_label("Het adres").check()
        await page.get_by_label("De inwoner vindt het goed").check()
        await page.get_by_role("button", name="Bevestigen").click()
        await _until(lambda: len(neighbours.asked) == 3)
        _, released, again = neighbours.asked
        assert (released.method, released.url.path) == ("POST", f"/v1/referrals/{REFERRAL}/person/release")
        assert json.loads(released.content) == {"fields": ["address", "phone"], "reason": "resident-agreed"}
        assert again.method == "GET"  # what is shown now
        await expect(page.locator("#person")).to_be_visible()

        neighbours.status = 403
        await page.get_by_role("button", name="Contactgegevens vrijgeven").click()
        await page.get_by_label("De wet verplicht het").check()
        await page.get_by_role("button", name="Bevestigen").click()
        await expect(page.get_by_role("alert")).to_contain_text("Met uw rol kan dit niet.")
        await expect(page.locator("#person")).to_be_hidden()


async def test_a_release_needs_the_csrf_token_a_reason_and_the_role(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with a_board(stack_infra, tmp_path) as (service, neighbours):
        client = await sign_in(service, "coordinator", "gemeente-assen")
        reasons = (await client.get("/board/me")).json()["release"]["reasons"]
        path = f"/board/cases/{CASE}/person/release"
        body = {"fields": ["email"], "reason": reasons[0]}
        key = {"Idempotency-Key": "key-2"}
        assert (await client.post(path, json=body, headers=key)).status_code == 403
        allowed = key | {"X-CSRF-Token": await csrf(client)}
        assert (await client.post(path, json={"fields": ["email"]}, headers=allowed)).status_code == 400
        assert (await client.post(path, json=body | {"fields": ["bsn"]}, headers=allowed)).status_code == 400
        assert neighbours.asked == []
        assert (await client.post(path, json=body, headers=allowed)).status_code == 200
        (asked,) = neighbours.asked
        assert (asked.url.path, asked.headers["idempotency-key"]) == (f"/v1/cases/{CASE}/person/release", "key-2")
        await client.aclose()
        partner = await sign_in(service, "partner", "maatjes")
        assert (await partner.get("/board/me")).json()["release"] is None
        await partner.aclose()


async def test_a_professional_gets_a_code_for_the_resident_of_a_case(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    path = f"/board/cases/{CASE}/resident-code"
    async with a_board(stack_infra, tmp_path) as (service, neighbours):
        client = await sign_in(service, "coordinator", "gemeente-assen")
        assert (await client.get("/board/me")).json()["residentCodes"]
        assert (await client.post(path, json={})).status_code == 403
        assert neighbours.asked == []
        allowed = {"X-CSRF-Token": await csrf(client)}
        given = await client.post(path, json={}, headers=allowed)
        assert (given.status_code, given.json(), given.headers["cache-control"]) == (201, CODE, "no-store")
        (asked,) = neighbours.asked
        assert (str(asked.url), json.loads(asked.content)) == ("http://audit.test/v1/resident-codes", {"case": CASE})
        assert asked.headers["authorization"] == f"Bearer {service.issuer.token_answer['access_token']}"
        neighbours.status = 404
        refused = await client.post(path, json={}, headers=allowed)
        assert (refused.status_code, refused.json()["detail"]) == (404, "Dit is niet (meer) te vinden.")
        await client.aclose()
        partner = await sign_in(service, "partner", "maatjes")
        assert not (await partner.get("/board/me")).json()["residentCodes"]
        await partner.aclose()
    async with a_board(stack_infra, tmp_path / "bare", audit_url="") as (service, neighbours):
        client = await sign_in(service, "coordinator", "gemeente-assen")
        assert not (await client.get("/board/me")).json()["residentCodes"]
        allowed = {"X-CSRF-Token": await csrf(client)}
        assert (await client.post(path, json={}, headers=allowed)).status_code == 404
        assert neighbours.asked == []
        await client.aclose()


@browser_test
@pytest.mark.browser
async def test_the_code_for_a_resident_is_on_the_page_as_long_as_its_dialog(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with chromium() as browser, a_board(stack_infra, tmp_path) as (service, neighbours):
        page = await a_page(browser, service, "coordinator", "gemeente-assen")
        await page.locator("#cases li").first.get_by_role("button", name="Code voor de inwoner").click()
        dialog = page.locator("#code")
        await expect(dialog).to_contain_text(CODE["code"])
        await expect(dialog).to_contain_text(CODE["page"])
        await expect(dialog).to_contain_text("alleen aan de inwoner zelf")
        await dialog.get_by_role("button", name="Sluiten").click()
        await expect(dialog).to_be_hidden()
        assert CODE["code"] not in await page.content()

        neighbours.status = 404
        await page.locator("#cases li").first.get_by_role("button", name="Code voor de inwoner").click()
        await expect(page.get_by_role("alert")).to_contain_text("niet (meer) te vinden")


@browser_test
@pytest.mark.browser
async def test_who_has_no_board_is_told_so_instead_of_to_wait(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with chromium() as browser, a_board(stack_infra, tmp_path) as (service, _):
        page = await a_page(browser, service, "sender", "gemeente-assen")
        await expect(page.locator("#no-access")).to_contain_text("geen bord", timeout=10_000)
        for hidden in ("#live", "#message", "#referrals", "#cases"):
            await expect(page.locator(hidden)).to_be_hidden()


async def _until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)
