"""A service needs `readWrite` on its own database and no more; and what it does while its database takes no writes."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from pymongo.errors import OperationFailure

from services.audit.store import SCHEMA as AUDIT
from services.chassis.mongo.database import connect
from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.mongo.migrations import Migrator
from services.chassis.settings import MongoSettings
from services.notifications.store import NotificationsStore
from tests.conftest import Infrastructure
from tests.integration.guarded import Guarded, guarded
from tests.integration.matching import MUNICIPALITY, Matching, running
from tests.integration.surroundings import Neighbour
from tests.logs import said
from tests.unit.matching.made_up import signal


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("guarded")) as mongo:
        yield mongo


@pytest.fixture
async def matching(stack_infra: Infrastructure, mongo: Guarded, tmp_path: Path) -> AsyncIterator[Matching]:
    """Matching as a user that may use its own database alone."""
    name = f"matching_{uuid.uuid4().hex[:12]}"
    uri = await asyncio.to_thread(mongo.add_user, name)
    async with running(stack_infra, tmp_path, name, uri=uri) as matching:
        yield matching


async def test_a_service_does_all_its_work_with_rights_on_its_own_database_alone(
    stack_infra: Infrastructure, matching: Matching
) -> None:
    await matching.fill_directory()
    event = signal()
    async with Neighbour.speaking(stack_infra, "intake") as intake:
        await intake.publish(event, f"signal-{event.signal}")
    assert (await matching.file(event.person))["cases"]
    assert (await matching.service.database.command("dbStats"))["collections"] > 5


async def test_a_service_reads_no_database_of_another(matching: Matching, mongo: Guarded) -> None:
    other = f"intake_{uuid.uuid4().hex[:12]}"
    await asyncio.to_thread(mongo.root[other]["persons_vault"].insert_one, {"_id": "somebody"})
    client = matching.service.client
    for refused in (client[other]["persons_vault"].find_one(), client[other].list_collection_names()):
        with pytest.raises(OperationFailure, match="not authorized"):
            await refused


async def test_indexes_and_the_stream_of_changes_need_no_more(mongo: Guarded) -> None:
    name = f"notifications_{uuid.uuid4().hex[:12]}"
    uri = SecretStr(await asyncio.to_thread(mongo.add_user, name))
    client = connect(MongoSettings(uri=uri, database=name))
    try:
        await Migrator(client[name], AUDIT, "a test").migrate()
        lines = NotificationsStore(client[name], MongoFeeds(client[name])).new_lines()
        assert await anext(lines) == []
        await lines.aclose()  # type: ignore[attr-defined]
    finally:
        client.close()


async def test_while_the_database_takes_no_writes_nothing_is_taken_and_nothing_is_lost(
    stack_infra: Infrastructure, matching: Matching, mongo: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    database, checks, event = matching.service.database, matching.service.checks, signal()
    coordinator = matching.token("coordinator", "gemeente-assen")

    async def put() -> httpx.Response:
        return await matching.ask(coordinator, "PUT", "/v1/organisations/gemeente-assen", MUNICIPALITY)

    await mongo.block_writes(True)
    try:
        refused = await put()
        async with Neighbour.speaking(stack_infra, "intake") as intake:
            await intake.publish(event, f"signal-{event.signal}")
        await until(lambda: not checks()["database"])
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert said(caplog, "database_takes_no_writes")[0]["codes"] == [371]
        assert (await put()).status_code == 503
        assert not checks()["database"]
    finally:
        await mongo.block_writes(False)
    assert (await matching.file(event.person))["cases"]
    await until(lambda: checks()["database"])
    assert (await put()).status_code == 200
    assert await database["dead_letters"].count_documents({}) == 0


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.05)
