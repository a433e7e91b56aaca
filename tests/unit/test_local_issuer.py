"""The embedded issuer: the code flow with PKCE, machine tokens, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from deploy.local.access import BOARD_CLIENT, CLI_CLIENT, SCOPES, sample_logins
from deploy.local.errors import StackError
from deploy.local.folder import DataFolder
from deploy.local.issuer import Issuer
from deploy.local.server import make_app

URL, BOARD, AUDIT = "http://127.0.0.1:8000", "http://127.0.0.1:8003", "http://127.0.0.1:8004"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
AUTHORIZE = {
    "response_type": "code",
    "client_id": BOARD_CLIENT,
    "redirect_uri": f"{BOARD}/callback",
    "scope": "openid",
    "state": "s1",
    "nonce": "n1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


class Clock:
    """A time that a test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    with DataFolder(tmp_path / "data") as folder:
        yield folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(folder: DataFolder, clock: Clock) -> Issuer:
    return Issuer(folder, URL, [BOARD, AUDIT], clock)


@pytest.fixture
async def browser(issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(issuer, {"intake": URL, "notifications": BOARD}))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, **changed: str) -> dict[str, list[str]]:
    login = {"login": "partner-maatjes-voorbeeld"}
    response = await browser.post("/authorize", data=AUTHORIZE | login | changed)
    assert response.status_code == 303
    return parse_qs(urlsplit(response.headers["location"]).query)


async def redeem(browser: httpx.AsyncClient, issuer: Issuer, folder: DataFolder, **form: str) -> httpx.Response:
    grant = {"grant_type": "authorization_code", "redirect_uri": AUTHORIZE["redirect_uri"], "code_verifier": VERIFIER}
    return await browser.post("/token", data=grant | form, auth=(BOARD_CLIENT, folder.secret(BOARD_CLIENT)))


def claims(issuer: Issuer, token: str) -> dict[str, Any]:
    return jwt.decode(token, KeySet.import_key_set(issuer.keys()), algorithms=["ES256"]).claims  # type: ignore[arg-type]


async def test_a_login_gives_tokens_with_the_claims_of_who_was_chosen(
    browser: httpx.AsyncClient, issuer: Issuer, folder: DataFolder, clock: Clock
) -> None:
    page = await browser.get("/authorize", params=AUTHORIZE)
    assert "Maatjes Voorbeeld" in page.text
    assert f"form-action 'self' {BOARD}" in page.headers["content-security-policy"]
    back = await sign_in(browser)
    assert (back["state"], back["iss"]) == (["s1"], [URL])
    tokens = (await redeem(browser, issuer, folder, code=back["code"][0])).json()
    access, identity = claims(issuer, tokens["access_token"]), claims(issuer, tokens["id_token"])
    assert access["aud"] == ["intake", "matching", "notifications", "audit"]
    assert access["organisation"] == "maatjes-voorbeeld"
    assert access["municipalities"] == ["0106", "9901"]
    assert access["scope"] == SCOPES["partner"]
    assert access["exp"] == int(clock.now) + 3600
    assert (identity["aud"], identity["nonce"], identity["sub"]) == (BOARD_CLIENT, "n1", access["sub"])


async def test_a_code_counts_once_for_a_minute_and_for_its_verifier(
    browser: httpx.AsyncClient, issuer: Issuer, folder: DataFolder, clock: Clock
) -> None:
    code = (await sign_in(browser))["code"][0]
    assert (await redeem(browser, issuer, folder, code=code, code_verifier="w" * 43)).status_code == 400
    assert (await redeem(browser, issuer, folder, code=code)).json()["error"] == "invalid_grant"
    late = (await sign_in(browser))["code"][0]
    clock.now += 61
    assert (await redeem(browser, issuer, folder, code=late)).json()["error"] == "invalid_grant"


async def test_without_pkce_nobody_signs_in(browser: httpx.AsyncClient) -> None:
    without = {name: value for name, value in AUTHORIZE.items() if name != "code_challenge"}
    response = await browser.get("/authorize", params=without)
    assert parse_qs(urlsplit(response.headers["location"]).query)["error"] == ["invalid_request"]
    plain = AUTHORIZE | {"code_challenge_method": "plain", "login": "partner-maatjes-voorbeeld"}
    assert (await browser.post("/authorize", data=plain)).status_code == 400


async def test_who_signs_in_goes_back_to_the_page_that_asked(browser: httpx.AsyncClient) -> None:
    for page in (BOARD, AUDIT):
        asked = AUTHORIZE | {"redirect_uri": f"{page}/callback", "login": "auditor-gemeente-assen"}
        response = await browser.post("/authorize", data=asked)
        assert response.headers["location"].startswith(f"{page}/callback?code=")


@pytest.mark.parametrize("changed", [{"redirect_uri": "http://127.0.0.1:9999/callback"}, {"client_id": "another"}])
async def test_nothing_is_sent_to_a_redirect_uri_that_is_not_registered(
    browser: httpx.AsyncClient, changed: dict[str, str]
) -> None:
    for response in (
        await browser.get("/authorize", params=AUTHORIZE | changed),
        await browser.post("/authorize", data=AUTHORIZE | changed),
    ):
        assert response.status_code == 400
        assert "location" not in response.headers


async def test_a_machine_needs_the_secret_of_the_data_folder(browser: httpx.AsyncClient, folder: DataFolder) -> None:
    form = {"grant_type": "client_credentials", "role": "sender"}
    assert (await browser.post("/token", data=form, auth=(CLI_CLIENT, "guess"))).status_code == 401
    good = await browser.post("/token", data=form, auth=(CLI_CLIENT, folder.secret(CLI_CLIENT)))
    assert good.json()["scope"] == SCOPES["sender"]
    wrong = await browser.post("/token", data=form | {"role": "boss"}, auth=(CLI_CLIENT, folder.secret(CLI_CLIENT)))
    assert "choose one of sender" in wrong.json()["error_description"]
    board = await browser.post("/token", data=form, auth=(BOARD_CLIENT, folder.secret(BOARD_CLIENT)))
    assert board.json()["error"] == "unauthorized_client"


@pytest.mark.parametrize("role", SCOPES)
def test_every_role_has_a_sample_login_and_a_machine_token(issuer: Issuer, role: str) -> None:
    assert any(login.role == role for login in sample_logins())
    assert claims(issuer, issuer.machine_token(role))["scope"] == SCOPES[role]


def test_tokens_of_an_organisation_that_is_not_in_the_sample(issuer: Issuer) -> None:
    given = claims(issuer, issuer.machine_token("partner", "iemand", ["0106"]))
    assert (given["organisation"], given["municipalities"]) == ("iemand", ["0106"])


def test_keys_outlive_a_restart_and_only_their_owner_reads_them(folder: DataFolder, issuer: Issuer) -> None:
    assert Issuer(folder, URL, BOARD).keys() == issuer.keys()
    assert "d" not in issuer.keys()["keys"][0]
    assert stat.S_IMODE(folder.keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.keys.iterdir()} == {0o600}


def test_it_refuses_to_run_outside_a_running_stack(tmp_path: Path, folder: DataFolder) -> None:
    with pytest.raises(StackError, match="this machine only"):
        Issuer(DataFolder(tmp_path / "other"), URL, BOARD)
    with pytest.raises(StackError, match="this machine only"):
        Issuer(folder, "http://0.0.0.0:8000", BOARD)


async def test_another_host_name_is_not_answered(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/mailbox", headers={"Host": "evil.example"})).status_code == 400


async def test_letters_are_found_by_their_address_newest_first(browser: httpx.AsyncClient) -> None:
    for text in ("1", "2"):
        assert (await browser.post("/mailbox", json={"to": "a@example.org", "text": text})).status_code == 202
    await browser.post("/mailbox", json={"to": "b@example.org", "text": "3"})
    found = (await browser.post("/mailbox/search", json={"to": "a@example.org"})).json()
    assert [letter["text"] for letter in found] == ["2", "1"]
    assert (await browser.post("/mailbox", content=b"{}")).status_code == 422


async def test_letters_are_a_page_that_is_bounded_and_shows_what_was_sent_as_text(browser: httpx.AsyncClient) -> None:
    assert "Er is nog niets verstuurd" in (await browser.get("/mailbox")).text
    for n in range(120):
        await browser.post("/mailbox", json={"to": "0612345678", "channel": "sms", "text": f"<b>code {n:03}</b>"})
    answer = await browser.get("/mailbox")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    assert "0612345678" in answer.text
    assert "&lt;b&gt;code 119&lt;/b&gt;" in answer.text
    assert "<b>" not in answer.text
    assert ("code 020" in answer.text, "code 019" in answer.text) == (True, False)


async def test_a_letter_that_is_too_large_is_not_taken(browser: httpx.AsyncClient) -> None:
    letter = {"to": "0612345678", "text": "x" * 20_000}
    assert (await browser.post("/mailbox", json=letter)).status_code == 413
    assert (await browser.post("/mailbox", json=letter | {"text": "x" * 3_000})).status_code == 422

    async def unmeasured() -> AsyncIterator[bytes]:
        yield b'{"to": "0612345678"}'

    assert (await browser.post("/mailbox", content=unmeasured())).status_code == 413
    assert "0612345678" not in (await browser.get("/mailbox")).text


async def test_the_start_page_lists_pages_and_logins(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    assert f"{URL}/test" in page
    assert "--role partner --organisation maatjes-voorbeeld" in page
