"""Keys wrapped by a KMS, on the real database: made once, opened after a restart, destroyed for good."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from hulpketen_contracts import OrganisationChanged

from services.chassis.keys import DerivedKey, DerivedSealer, KeyDestroyed, KeyedHasher, SealBroken, new_key
from services.chassis.kms import AzureKms, KmsRefused, KmsUnavailable, VaultKms
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.keys import FRESH_S, KmsKeyProvider, open_provider
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.settings import KeysSettings, MongoSettings
from services.intake.main import build
from tests.conftest import Infrastructure
from tests.integration.intake import running, settings
from tests.logs import said
from tests.unit.chassis.conftest import Clock
from tests.unit.chassis.issuer import TestIssuer
from tests.unit.chassis.kms import FakeKms, azure_settings, serving, vault_settings

LABEL = "persons/0106/2951"


@pytest.fixture
def server() -> Iterator[FakeKms]:
    with serving() as kms:
        yield kms


@pytest_asyncio.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    chosen = MongoSettings.model_validate({"uri": stack_infra.mongo, "database": f"keys_{uuid.uuid4().hex[:12]}"})
    client = connect(chosen)
    yield client[chosen.database]
    client.close()


@pytest.fixture(params=["vault", "azure"])
def chosen(request: pytest.FixtureRequest, server: FakeKms, tmp_path: Path) -> KeysSettings:
    return vault_settings(server, tmp_path) if request.param == "vault" else azure_settings(server)


async def _started(chosen: KeysSettings, database: Database, clock: Clock | None = None) -> KmsKeyProvider:
    kms = VaultKms(chosen) if chosen.provider == "vault" else AzureKms(chosen)
    provider = KmsKeyProvider(database, kms, clock or Clock(0))
    await provider.prepare()
    return provider


async def test_keys_survive_a_restart_and_lie_nowhere_unwrapped(chosen: KeysSettings, database: Database) -> None:
    provider = open_provider(chosen, database)
    await provider.prepare()
    key, master = new_key(), provider.derive("signal-names")
    wrapped = await provider.wrap(LABEL, [key])
    await provider.close()
    again = open_provider(chosen, database)
    await again.prepare()
    assert again.versions() == [1]
    assert again.derive("signal-names") == master != again.derive("sessions")
    assert await again.unwrap(LABEL, wrapped) == [key]
    with pytest.raises(KeyDestroyed):
        await again.unwrap("persons/0107/2951", wrapped)
    await again.wrap("persons/0107/2951", [key])
    with pytest.raises(SealBroken):
        await again.unwrap("persons/0107/2951", wrapped)
    stored = await database["keys"].find().to_list(None)
    assert {each["_id"] for each in stored} == {"master/1", f"label/{LABEL}", "label/persons/0107/2951"}
    assert all(set(each) == {"_id", "wrapped"} and len(each["wrapped"]) > 60 for each in stored)
    await again.close()


async def test_processes_that_start_together_make_one_key_of_each(
    server: FakeKms, tmp_path: Path, database: Database
) -> None:
    chosen = vault_settings(server, tmp_path)
    providers = [KmsKeyProvider(database, VaultKms(chosen), Clock(0)) for _ in range(6)]

    async def start(provider: KmsKeyProvider) -> bytes:
        while True:
            try:
                await provider.prepare()
                return (await provider.wrap(LABEL, [b"k" * 32]))[0]
            except StoreUnavailable:
                continue

    wrapped = await asyncio.gather(*(start(each) for each in providers))
    assert len({each.derive("x") for each in providers}) == 1
    for provider in providers:
        assert await provider.unwrap(LABEL, wrapped) == [b"k" * 32] * 6
        await provider.close()


async def test_a_destroyed_wrapping_key_is_gone_at_once_here_and_soon_elsewhere(
    server: FakeKms, tmp_path: Path, database: Database
) -> None:
    chosen, clock = vault_settings(server, tmp_path), Clock(0)
    here, elsewhere = await _started(chosen, database), await _started(chosen, database, clock)
    wrapped = await here.wrap(LABEL, [new_key()])
    await elsewhere.unwrap(LABEL, wrapped)
    await here.destroy(LABEL)
    await here.destroy(LABEL)
    with pytest.raises(KeyDestroyed):
        await here.unwrap(LABEL, wrapped)
    clock.now += FRESH_S
    with pytest.raises(KeyDestroyed):
        await elsewhere.unwrap(LABEL, wrapped)
    # What is wrapped after is not wrapped by what is gone.
    fresh = await elsewhere.wrap(LABEL, [new_key()])
    assert await here.unwrap(LABEL, fresh)
    with pytest.raises(SealBroken):
        await here.unwrap(LABEL, wrapped)
    for provider in (here, elsewhere):
        await provider.close()


async def test_what_is_open_needs_no_kms(server: FakeKms, tmp_path: Path, database: Database) -> None:
    clock = Clock(0)
    provider = await _started(vault_settings(server, tmp_path), database, clock)
    key = new_key()
    wrapped = await provider.wrap(LABEL, [key])
    server.status = 503
    clock.now += 10 * FRESH_S
    assert await provider.unwrap(LABEL, wrapped) == [key]
    assert await provider.unwrap(LABEL, await provider.wrap(LABEL, [key])) == [key]
    with pytest.raises(KmsUnavailable):
        await provider.wrap("persons/0107/2951", [key])
    assert await database["keys"].count_documents({}) == 2
    await provider.close()


async def test_before_the_start_nothing_can_be_derived(server: FakeKms, tmp_path: Path, database: Database) -> None:
    server.status = 403
    provider = open_provider(vault_settings(server, tmp_path), database)
    key = DerivedKey(provider, "sessions")
    sealer = DerivedSealer(key)
    for work in (provider.versions, key, lambda: sealer.seal(b"x", b""), lambda: provider.derive("x")):
        with pytest.raises(StoreUnavailable):
            work()
    with pytest.raises(KmsRefused):
        await provider.prepare()
    server.status = 0
    await provider.prepare()
    assert sealer.open(sealer.seal(b"x", b""), b"") == b"x"
    assert key() == provider.derive("sessions")
    await provider.close()


async def test_a_master_key_of_another_kms_is_refused_and_not_replaced(
    server: FakeKms, tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await (await _started(vault_settings(server, tmp_path), database)).close()
    with serving() as other:
        provider = open_provider(vault_settings(other, tmp_path), database)
        with pytest.raises(KmsRefused), caplog.at_level(logging.ERROR):
            await provider.prepare()
        await provider.close()
    assert len(said(caplog, "keys_broken")) == 1
    assert await database["keys"].count_documents({}) == 1


async def test_a_second_master_key_makes_no_second_person(server: FakeKms, tmp_path: Path, database: Database) -> None:
    chosen = vault_settings(server, tmp_path)
    provider = await _started(chosen, database)
    old = KeyedHasher(provider).hash("0106", "bsn", "999990019")
    await provider._made("master/2")
    await provider.close()
    again = await _started(chosen, database)
    assert again.versions() == [2, 1]
    assert KeyedHasher(again).hash("0106", "bsn", "999990019") == old
    assert DerivedKey(again, "x", oldest=True)() == again.derive("x", 1) != DerivedKey(again, "x")()
    await again.close()


async def test_intake_takes_signals_with_a_kms(
    chosen: KeysSettings, stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with running(stack_infra, tmp_path, keys=chosen) as intake:
        organisation = {
            "organisation": "energie-voorbeeld",
            "name": "Energie",
            "kind": "creditor",
            "municipalities": ["0106"],
            "partnerTypes": ["Energie"],
        }
        await intake.publish(OrganisationChanged.model_validate(organisation), "organisation-energie-voorbeeld")
        await intake.until("organisation-energie-voorbeeld")
        body = {
            "reference": "r-1",
            "municipality": "0106",
            "partnerType": "Energie",
            "client": {"bsn": "999990019"},
        }
        headers = intake.token("sender", "energie-voorbeeld")
        answer = await intake.client.post("/v1/signals", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        seen = await intake.client.get(answer.headers["location"], headers=headers)
        assert seen.json()["reference"] == "r-1"


async def test_without_its_kms_a_service_is_not_ready_and_comes_when_the_kms_does(
    server: FakeKms, stack_infra: Infrastructure, tmp_path: Path
) -> None:
    server.status = 403
    app = build(
        settings(stack_infra, tmp_path, keys=vault_settings(server, tmp_path)), httpx.MockTransport(TestIssuer().handle)
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://intake") as client,
    ):
        async with asyncio.timeout(20):
            while not server.requests:
                await asyncio.sleep(0.01)
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200
        test = {"questionnaire": "2026-1", "municipality": "0106", "answers": json.loads(_ANSWERS)}
        answer = await client.post("/v1/tests", json=test, headers={"Idempotency-Key": "early"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        server.status = 0
        async with asyncio.timeout(30):
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)


_ANSWERS = """{"bills": ["always"], "arrears": ["none"], "threat": ["no"], "bailiff": ["no"], "living": ["yes"],
"change": ["no"], "overview": ["yes"], "support": ["alone"], "children": ["no"]}"""
