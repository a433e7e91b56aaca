"""A KMS over its own interface: what is wrapped opens, under its own context alone; refusals are no crash."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.chassis.keys import SealBroken, new_key
from services.chassis.kms import AzureKms, Bound, Kms, KmsRefused, KmsUnavailable, VaultKms
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.settings import KeysSettings
from tests.logs import said
from tests.unit.chassis.conftest import Clock
from tests.unit.chassis.kms import CLIENT, TENANT, TOKEN, FakeKms, azure_settings, serving, vault_settings


@pytest.fixture
def server() -> Iterator[FakeKms]:
    with serving() as kms:
        yield kms


def _kms(name: str, server: FakeKms, folder: Path, **changes: object) -> Kms:
    if name == "vault":
        return VaultKms(vault_settings(server, folder, **changes))
    return AzureKms(azure_settings(server, **changes))


@pytest_asyncio.fixture(params=["vault", "azure"])
async def kms(request: pytest.FixtureRequest, server: FakeKms, tmp_path: Path) -> AsyncIterator[Kms]:
    kms = _kms(request.param, server, tmp_path)
    yield kms
    await kms.close()


async def test_keys_are_wrapped_and_open_again(kms: Kms) -> None:
    keys = [Bound(new_key(), "master/1"), Bound(new_key(), "label/0106/7")]
    wrapped = await kms.wrap(keys)
    assert not any(key.content in each for key in keys for each in wrapped)
    again = [Bound(each, key.context) for each, key in zip(wrapped, keys, strict=True)]
    assert await kms.unwrap(again) == [key.content for key in keys]
    assert await kms.wrap([]) == []


async def test_a_key_opens_under_its_own_context_alone_and_unchanged(kms: Kms) -> None:
    (wrapped,) = await kms.wrap([Bound(new_key(), "master/1")])
    broken = wrapped[:-8] + (b"AAAAAAA=" if wrapped.endswith(b"=") else b"AAAAAAAA")
    for each in (Bound(wrapped, "master/2"), Bound(broken, "master/1"), Bound(b"\xff", "master/1"), Bound(b"", "")):
        with pytest.raises(SealBroken):
            await kms.unwrap([each])


@pytest.mark.parametrize(("status", "refused"), [(403, True), (404, True), (400, True), (429, False), (503, False)])
async def test_a_refusal_is_said_in_one_line_and_asks_to_try_again(
    kms: Kms, server: FakeKms, status: int, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server.status = status
    with pytest.raises(KmsUnavailable) as error, caplog.at_level(logging.WARNING):
        await kms.wrap([Bound(new_key(), "master/1")])
    assert isinstance(error.value, StoreUnavailable)
    assert isinstance(error.value, KmsRefused) == refused
    (line,) = said(caplog, "kms_refused" if refused else "kms_away")
    assert line["status"] == status
    assert "permission denied" not in str(line)
    server.status = 0
    assert await kms.wrap([Bound(new_key(), "master/1")])


@pytest.mark.parametrize("name", ["vault", "azure"])
async def test_a_kms_that_is_silent_or_not_there_is_away(name: str, server: FakeKms, tmp_path: Path) -> None:
    slow = _kms(name, server, tmp_path, kms_timeout_s=0.05)
    server.silent.clear()
    with pytest.raises(KmsUnavailable):
        await slow.wrap([Bound(new_key(), "master/1")])
    server.silent.set()
    await slow.close()
    server.url = "http://127.0.0.1:1"
    nowhere = _kms(name, server, tmp_path)
    with pytest.raises(KmsUnavailable):
        await nowhere.unwrap([Bound(b"a" * 32 + b".AAAA", "master/1")])
    await nowhere.close()


async def test_what_is_no_kms_is_refused(kms: Kms, server: FakeKms) -> None:
    server.garbage = True
    with pytest.raises(KmsRefused):
        await kms.wrap([Bound(new_key(), "master/1")])


async def test_vault_gets_its_token_from_a_file_that_may_change(server: FakeKms, tmp_path: Path) -> None:
    kms = VaultKms(vault_settings(server, tmp_path, vault_namespace="gemeente/assen"))
    await kms.wrap([Bound(new_key(), "x")])
    assert server.requests == ["POST /v1/transit/encrypt/hulpketen"]
    assert server.headers[-1]["X-Vault-Namespace"] == "gemeente/assen"
    assert server.headers[-1]["X-Vault-Token"] == TOKEN
    (tmp_path / "token").write_text("another")
    await kms.wrap([Bound(new_key(), "x")])
    assert server.headers[-1]["X-Vault-Token"] == "another"
    (tmp_path / "token").unlink()
    with pytest.raises(KmsRefused):
        await kms.wrap([Bound(new_key(), "x")])
    await kms.close()


async def test_a_managed_identity_keeps_its_token_until_it_expires(server: FakeKms) -> None:
    clock = Clock(1_000.0)
    kms = AzureKms(azure_settings(server, azure_client_id=CLIENT), clock=clock)
    await kms.wrap([Bound(new_key(), "x")])
    await kms.wrap([Bound(new_key(), "x")])
    tokens = [each for each in server.requests if "oauth2" in each]
    assert tokens == ["GET /metadata/identity/oauth2/token"]
    assert server.headers[0]["Metadata"] == "true"
    assert server.headers[-1]["Authorization"] == f"Bearer {TOKEN}"
    clock.now += 3_600
    await kms.wrap([Bound(new_key(), "x")])
    assert sum("oauth2" in each for each in server.requests) == 2
    server.expires_in = "soon"
    clock.now += 3_600
    with pytest.raises(KmsRefused):
        await kms.wrap([Bound(new_key(), "x")])
    await kms.close()


async def test_a_workload_identity_shows_its_federated_token(server: FakeKms, tmp_path: Path) -> None:
    (tmp_path / "federated").write_text("assertion")
    workload = {
        "azure_identity": "workload",
        "azure_client_id": CLIENT,
        "azure_tenant_id": TENANT,
        "azure_token_file": tmp_path / "federated",
    }
    kms = AzureKms(azure_settings(server, **workload))
    await kms.wrap([Bound(new_key(), "x")])
    assert server.requests[0] == f"POST /{TENANT}/oauth2/v2.0/token"
    assert server.forms[0]["client_assertion"] == "assertion"
    assert server.forms[0]["scope"] == "https://vault.azure.net/.default"
    await kms.close()


async def test_after_a_rotation_in_key_vault_the_old_version_still_opens(server: FakeKms) -> None:
    kms = AzureKms(azure_settings(server))
    key = Bound(new_key(), "x")
    (old,) = await kms.wrap([key])
    server.rotate()
    (new,) = await kms.wrap([key])
    assert old.split(b".")[0] != new.split(b".")[0]
    assert await kms.unwrap([Bound(old, "x"), Bound(new, "x")]) == [key.content] * 2
    await kms.close()


async def test_what_the_database_says_does_not_decide_where_the_token_goes(server: FakeKms) -> None:
    kms = AzureKms(azure_settings(server))
    for version in (b"../../secrets/x?y=", b"http://elsewhere.test/", b"A" * 32):
        with pytest.raises(SealBroken):
            await kms.unwrap([Bound(version + b".AAAA", "x")])
    assert server.requests == []
    await kms.close()


@pytest.mark.parametrize(
    ("given", "wrong", "said"),
    [
        ({}, "file", "must be set when KEYS_PROVIDER is file"),
        ({"provider": "vault", "vault_url": "https://v.test", "vault_key": "k"}, "vault_token_file", "is vault"),
        ({"provider": "azure", "azure_url": "https://a.test"}, "azure_key", "must be set when KEYS_PROVIDER is azure"),
        ({"file": "/keys", "vault_key": "k"}, "vault_key", "is for KEYS_PROVIDER vault, and that is file"),
        (
            {"provider": "azure", "azure_url": "https://a.test", "azure_key": "k", "file": "/keys"},
            "file",
            "is for KEYS_PROVIDER file, and that is azure",
        ),
        (
            {"provider": "vault", "vault_url": "http://v.test", "vault_key": "k", "vault_token_file": "/t"},
            "vault_url",
            "must begin with https://",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_named(given: dict[str, str], wrong: str, said: str) -> None:
    with pytest.raises(ValueError, match="validation error") as error:
        KeysSettings.model_validate(given)
    (found,) = json.loads(error.value.json())  # type: ignore[attr-defined]
    assert found["loc"] == [wrong]
    assert said in found["msg"]


def test_a_workload_identity_needs_to_say_which() -> None:
    given = {"provider": "azure", "azure_url": "https://a.test", "azure_key": "k", "azure_identity": "workload"}
    with pytest.raises(ValueError, match="3 validation errors"):
        KeysSettings.model_validate(given)
