"""Databases are brought to the program's version while services write to them, by whoever, and after any kill."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from cli.main import app
from deploy.local.errors import StackError
from services.audit.store import SCHEMA as AUDIT
from services.chassis.keys import FileKeyProvider
from services.chassis.mongo import migrations
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.indexes import Index, compare, make_all
from services.chassis.mongo.migrations import Migrator
from services.chassis.mongo.schema import Schema, Step
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.ports import Write
from services.chassis.preflight import NotReady
from services.chassis.service import Service
from services.chassis.settings import MongoSettings
from services.intake.store import schema as intake
from services.matching.main import build
from services.matching.store import SCHEMA as MATCHING
from services.notifications.store import SCHEMA as NOTIFICATIONS
from tests.conftest import Infrastructure
from tests.integration import migrating
from tests.integration.matching import settings
from tests.integration.surroundings import ready
from tests.logs import said

DOCUMENTS = 55
SOON = timedelta(seconds=1)


@pytest.fixture
async def database(stack_infra: Infrastructure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(migrations, "_BATCH", 10)
    name = f"migrations_{uuid.uuid4().hex[:8]}"
    client = connect(MongoSettings(uri=SecretStr(stack_infra.mongo), database=name))
    yield client[name]
    await client.drop_database(name)
    client.close()


async def fill(database: Database) -> None:
    documents = [{"_id": f"a-{n:03}", "v": 1, "state": {"name": str(n), "count": 0}} for n in range(DOCUMENTS)]
    await database["aggregates"].insert_many(documents)


async def found(database: Database) -> list[dict[str, Any]]:
    return await database["aggregates"].find().sort("_id", 1).to_list(None)


async def migrated(database: Database) -> bool:
    names = [document["state"].get("names") for document in await found(database)]
    noted = await database["schema"].find_one({}, {"at": 0})
    return names == [[str(n)] for n in range(DOCUMENTS)] and noted == {"_id": "schema", "version": 2, "needs": 1}


def migrator(database: Database, holder: str, schema: Schema = migrating.SCHEMA) -> Migrator:
    return Migrator(database, schema, holder, SOON)


async def until_it_may(database: Database) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await migrator(database, "next").migrate()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("schema", [intake(timedelta(days=1)), MATCHING, NOTIFICATIONS, AUDIT])
def test_a_list_names_each_index_once_with_its_query(schema: Schema) -> None:
    patterns = [(index.collection, index.pattern) for index in schema.indexes]
    assert len(set(patterns)) == len(patterns)
    assert all(index.serves for index in schema.indexes)


def test_a_step_never_shuts_out_the_version_before_it() -> None:
    with pytest.raises(AssertionError, match="shuts out"):
        Schema((), (Step(2, "what was", migrating.listed, needs=2),))


async def test_of_two_migrators_one_works_and_the_other_is_told(database: Database) -> None:
    await fill(database)
    one, two = await asyncio.gather(
        migrator(database, "one").migrate(), migrator(database, "two").migrate(), return_exceptions=True
    )
    assert [type(each) for each in (one, two) if each] == [StoreUnavailable]
    assert await migrated(database)
    assert {document["v"] for document in await found(database)} == {2}
    assert (await migrator(database, "two").plan()).done


async def test_one_that_was_killed_in_the_middle_is_gone_on_with(
    stack_infra: Infrastructure, database: Database
) -> None:
    await fill(database)
    command = [sys.executable, "-m", migrating.__name__, stack_infra.mongo, database.name]
    killed = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert killed.stdout
    assert await asyncio.wait_for(killed.stdout.readline(), 60) == b"half\n"
    killed.kill()
    await killed.wait()
    assert [document["v"] for document in await found(database)].count(2) == 10

    await until_it_may(database)
    assert await migrated(database)
    assert {document["v"] for document in await found(database)} == {2}


async def test_what_services_write_meanwhile_is_not_lost(database: Database, tmp_path: Path) -> None:
    await fill(database)
    store, done = MongoStore(database, DeadLetters(database, FileKeyProvider(tmp_path / "keys.json"))), asyncio.Event()
    written = 0

    async def write(id: str) -> None:
        """As the program of before does: it keeps what it does not know."""
        nonlocal written
        while not done.is_set():
            document = (await store.load([id]))[id]
            document["state"]["count"] += 1
            (won,) = await store.write([Write(document | {"v": document["v"] + 1}, document["v"])])
            written += won is True

    async def migrate() -> None:
        await migrator(database, "one").migrate()
        done.set()

    await asyncio.gather(migrate(), *(write(f"a-{n:03}") for n in (0, 9, 10, 31, 54)))
    assert await migrated(database)
    assert sum(document["state"]["count"] for document in await found(database)) == written > 0


async def test_a_program_that_the_database_is_too_new_for_is_refused_and_one_that_understands_it_goes_on(
    database: Database,
) -> None:
    await database["schema"].insert_one({"_id": "schema", "version": 4, "needs": 2})
    with pytest.raises(NotReady, match="version 4, and this program knows up to 1"):
        await migrator(database, "old", Schema(())).plan()
    older = await migrator(database, "older").plan()
    assert older.done
    assert await database["aggregates"].index_information() == {}


async def test_a_service_does_not_begin_on_a_newer_database(
    stack_infra: Infrastructure, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    await database["schema"].insert_one({"_id": "schema", "version": 99})
    runtime: Service = build(settings(stack_infra, tmp_path, database.name)).state.runtime
    await runtime.start()
    async with asyncio.timeout(30):
        while not said(caplog, "not_ready"):
            await asyncio.sleep(0.01)
    await runtime.stop()
    (fields,) = said(caplog, "not_ready")
    assert set(fields) == {"what", "todo"}
    assert "of version 99, and this program knows up to 1" in fields["what"]
    assert not runtime.checks()["database"]
    assert await database.list_collection_names() == ["schema"]


async def test_a_service_that_may_not_migrate_waits_until_somebody_did(
    stack_infra: Infrastructure, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    chosen = settings(stack_infra, tmp_path, database.name)
    waiting = chosen.model_copy(update={"mongo": chosen.mongo.model_copy(update={"migrate": False})})
    runtime: Service = build(waiting).state.runtime
    await runtime.start()
    try:
        async with asyncio.timeout(30):
            while not said(caplog, "not_ready"):
                await asyncio.sleep(0.01)
        assert "hulpketen migrate" in said(caplog, "not_ready")[0]["todo"]
        assert not runtime.checks()["database"]
        done = await command(stack_infra, database, "--service", "matching")
        assert done.stdout == f"matching: version 1; indexes: {len(MATCHING.indexes)} made\n"
        await ready(runtime)
    finally:
        await runtime.stop()


async def command(infrastructure: Infrastructure, database: Database, *arguments: str) -> Result:
    """`hulpketen migrate` with the settings of a service in its environment."""
    environment = {"MONGO_URI": infrastructure.mongo, "MONGO_DATABASE": database.name}
    return await asyncio.to_thread(CliRunner(env=environment).invoke, app, ["migrate", *arguments])


async def test_the_command_names_indexes_of_no_list_and_drops_them_when_told(
    stack_infra: Infrastructure, database: Database
) -> None:
    await make_all(database, AUDIT.indexes)
    await database["entries"].create_index("whatever")
    plan = await command(stack_infra, database, "--service", "audit", "--plan")
    assert plan.stdout.splitlines()[0] == "audit: version 0 of 1"
    assert "  there   entries (type, at, _id): search()" in plan.stdout
    assert plan.stdout.splitlines()[-1] == "  unknown entries whatever_1: in no list"

    done = await command(stack_infra, database, "--service", "audit")
    assert done.stdout == "audit: version 1; indexes: 0 made; 1 in no list (--plan names them)\n"
    assert "whatever_1" in await database["entries"].index_information()
    done = await command(stack_infra, database, "--service", "audit", "--drop-indexes")
    assert done.stdout == "audit: version 1; indexes: 0 made; 1 dropped\n"
    assert (await compare(database, AUDIT.indexes)).unknown == []


async def test_the_command_says_in_one_line_what_is_wrong(stack_infra: Infrastructure, database: Database) -> None:
    await database["schema"].insert_one({"_id": "schema", "version": 99})
    for arguments, begins in ((["--service", "audit"], "audit: the database "), ([], "MONGO_URI is set: say with")):
        done = await command(stack_infra, database, *arguments)
        assert (type(done.exception), done.stdout) == (StackError, "")
        assert str(done.exception).startswith(begins)


async def test_another_time_of_expiry_is_taken_over_and_other_options_are_not_without_being_told(
    database: Database,
) -> None:
    await make_all(database, [Index("keys", ("at",), "a test", expires_s=10), Index("things", ("name",), "a test")])
    await make_all(database, [Index("keys", ("at",), "a test", expires_s=20)])
    assert (await database["keys"].index_information())["at_1"]["expireAfterSeconds"] == 20

    unique = Schema((Index("things", ("name",), "a test", unique=True),))
    with pytest.raises(NotReady, match=r"things name_1 .* has other options"):
        await migrator(database, "one", unique).migrate()
    await migrator(database, "one", unique).migrate(drop=True)
    assert (await database["things"].index_information())["name_1"]["unique"]
    assert (await migrator(database, "one", unique).plan()).done
