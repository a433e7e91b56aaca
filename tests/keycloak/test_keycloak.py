"""Tokens and logins of a real Keycloak, as the services take them."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deploy.local.access import SCOPES
from services.chassis.auth import InvalidToken, TokenVerifier
from services.chassis.issuer import Issuer
from services.chassis.keys import Sealer, new_key
from services.chassis.login import Client, Login
from services.chassis.settings import AuthSettings
from tests.keycloak.server import REALM, Keycloak


def verifier(keycloak: Keycloak, service: str) -> TokenVerifier:
    return TokenVerifier(Issuer(AuthSettings(issuer=keycloak.issuer, audience=service)))


def machine_token(keycloak: Keycloak, client: str, secret: str) -> str:
    answer = httpx.post(
        f"{keycloak.issuer}/protocol/openid-connect/token",
        data={"grant_type": "client_credentials"},
        auth=(client, keycloak.secrets[secret]),
        timeout=60,
        trust_env=False,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def press_the_button(keycloak: Keycloak, url: str, user: str, password: str) -> httpx.Response:
    """What a browser does with Keycloak's own page."""
    with httpx.Client(timeout=60, trust_env=False) as browser:
        page = browser.get(url)
        assert page.status_code == 200, page.text
        action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        assert action
        form = {"username": user, "password": password}
        # Keycloak marks its cookies as for TLS alone; browsers make an exception for localhost, this client does not.
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        return browser.post(html.unescape(action[1]), data=form, headers={"Cookie": cookies})


@pytest.mark.parametrize("service", ["intake", "matching", "notifications", "audit"])
async def test_a_machine_has_the_organisation_and_the_scopes_of_its_role_at_every_service(
    keycloak: Keycloak, service: str
) -> None:
    token = machine_token(keycloak, "hulpketen-sender", "cli_secret")
    who = await verifier(keycloak, service).verify(token)
    assert who.organisation == "woonborg-voorbeeld"
    assert {"0106", "9901"} == who.municipalities
    assert who.scopes == set(SCOPES["sender"].split())
    assert who.machine


async def test_what_counts_may_do_no_more_than_operations(keycloak: Keycloak) -> None:
    token = machine_token(keycloak, "hulpketen-metrics", "metrics_secret")
    assert (await verifier(keycloak, "audit").verify(token)).scopes == {"operations", "trail:read"}


async def test_a_token_is_for_the_chain_alone(keycloak: Keycloak) -> None:
    token = machine_token(keycloak, "hulpketen-sender", "cli_secret")
    with pytest.raises(InvalidToken, match="for another service"):
        await verifier(keycloak, "payroll").verify(token)


@pytest.mark.parametrize("role", SCOPES)
async def test_the_board_signs_in_whom_keycloak_knows(keycloak: Keycloak, role: str) -> None:
    client = Client("hulpketen-board", keycloak.secrets["board_secret"], keycloak.board_url)
    login = Login(client, verifier(keycloak, "notifications"), Sealer(new_key()))
    url, cookie = await login.begin("/")
    answer = press_the_button(keycloak, url, f"sample-{role}", keycloak.secrets["password"])
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{keycloak.board_url}/callback"
    given = parse_qs(back.query)

    signed_in = await login.finish(cookie, given["code"][0], given["state"][0])

    assert signed_in.principal.organisation
    assert not signed_in.principal.machine
    # Nobody vouches for the trail from a page: that is for machines.
    assert signed_in.principal.scopes >= set(SCOPES[role].split()) - {"trail:vouch"}
    others = set(" ".join(SCOPES.values()).split()) - set(SCOPES[role].split())
    assert not signed_in.principal.scopes & others


async def test_without_the_proof_of_who_asked_there_is_no_code(keycloak: Keycloak) -> None:
    client = Client("hulpketen-board", keycloak.secrets["board_secret"], keycloak.board_url)
    url, _ = await Login(client, verifier(keycloak, "notifications"), Sealer(new_key())).begin("/")
    bare = re.sub(r"&code_challenge(_method)?=[^&]*", "", url)
    answer = httpx.get(bare, timeout=60, trust_env=False)
    assert "code_challenge" in answer.headers.get("location", "")
    assert "error=invalid_request" in answer.headers["location"]


def test_the_realm_gives_each_role_the_scopes_that_the_sample_issuer_gives() -> None:
    realm = json.loads(REALM.read_text(encoding="utf-8"))
    given = {role["name"]: set[str]() for role in realm["roles"]["realm"]}
    for mapping in realm["scopeMappings"]:
        for role in mapping["roles"]:
            given[role].add(mapping["clientScope"])
    assert given == {role: set(scopes.split()) for role, scopes in SCOPES.items()}


def test_the_realm_file_holds_no_secret() -> None:
    found = re.findall(r'"(?:secret|value)": "([^"]*)"', REALM.read_text(encoding="utf-8"))
    assert found
    assert all(each.startswith("${") for each in found)
