"""A trail that lost what was signed begins again honestly: the old checkpoint first, then what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from pymongo.errors import PyMongoError
from typer.testing import CliRunner, Result

from cli.begin_again import begin as begin_command
from deploy.backup import begin_again as program
from deploy.backup.archive import BackupError
from deploy.backup.begin_again import Begun, begin_again
from deploy.backup.places import connected
from services.audit.checkpoints import CheckpointStore
from services.audit.domain.entry import BEGUN_AGAIN
from services.audit.domain.leaves import leaf_of
from services.audit.place import Place
from services.audit.signing import Signer
from services.audit.store import SCHEMA
from services.chassis.mongo.indexes import make_all
from services.chassis.service import now
from tests.conftest import Infrastructure
from tests.integration.audit import AlwaysHeld, Database, a_database, provider_of, trail, writer
from tests.integration.audit_signing import log_key, numbered, signer, untold


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture
async def told(database: Database, tmp_path: Path) -> str:
    """The checkpoint of 30 entries that a partner holds; the database has 20, and no second place."""
    for start, end in ((0, 20), (20, 30)):
        await writer(database).handle([numbered(n) for n in range(start, end)])
        await signer(database, tmp_path / "lost").step()
    last = await CheckpointStore(database).last()
    assert last
    await database["checkpoints"].delete_one({"_id": 30})
    await database["entries"].delete_many({"_id": {"$gte": 20}})
    await CheckpointStore(database).stop("after the restore")
    return last.text


async def begin(infrastructure: Infrastructure, database: Database, text: str, generation: int = 1) -> Begun:
    key = log_key(provider_of(database), generation).public()

    def work() -> Begun:
        with connected(infrastructure.mongo) as client:
            return begin_again(client, database.name, text, [key])

    return await asyncio.to_thread(work)


async def signed_again(database: Database, folder: Path) -> None:
    """As at the next start of the service."""
    await make_all(database, SCHEMA.indexes)
    store = CheckpointStore(database)
    generation = await store.generation()
    place, key = Place(folder, generation), log_key(provider_of(database), generation)
    again = Signer(store, place, key, AlwaysHeld(), untold, clock=now, every=(1, timedelta(hours=1)))
    await writer(database).handle([numbered(n) for n in range(18, 25)])
    await again.step()
    assert again.stopped == ""


async def check(database: Database, before: list[bytes], told: str) -> None:
    entries = await trail(database)
    assert [entry["_id"] for entry in entries] == list(range(26))
    assert (entries[0]["type"], entries[0]["commitment"]) == (BEGUN_AGAIN, sha256(told.encode()).digest())
    assert [leaf_of(entry) for entry in entries[1:21]] == before
    last = await CheckpointStore(database).last()
    assert last
    assert last.size == 26
    assert last.text.startswith("test.example/audit/2\n26\n")
    assert await database["checkpoints_1"].count_documents({}) == 1


async def test_the_old_checkpoint_is_the_first_leaf_and_what_is_left_follows(
    stack_infra: Infrastructure, database: Database, tmp_path: Path, told: str
) -> None:
    before = [leaf_of(entry) for entry in await trail(database)]
    for _ in range(2):
        assert await begin(stack_infra, database, told) == Begun(2, 20)
    await signed_again(database, tmp_path / "place")
    await check(database, before, told)


@pytest.mark.parametrize("step", ["_shift", "_set_aside"])
async def test_a_crash_in_the_middle_is_made_good_by_running_it_again(
    stack_infra: Infrastructure,
    database: Database,
    tmp_path: Path,
    told: str,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [leaf_of(entry) for entry in await trail(database)]
    real = getattr(program, step)

    def cut_off(*given: object, **more: object) -> None:
        real(*given, **more)
        raise PyMongoError("cut off")

    monkeypatch.setattr(program, step, cut_off)
    with pytest.raises(BackupError):
        await begin(stack_infra, database, told)
    monkeypatch.undo()
    assert await begin(stack_infra, database, told) == Begun(2, 20)
    await signed_again(database, tmp_path / "place")
    await check(database, before, told)


async def test_what_does_not_fit_is_refused_and_nothing_is_changed(
    stack_infra: Infrastructure, database: Database, told: str
) -> None:
    known = await CheckpointStore(database).of(20)
    assert known
    before = await trail(database)
    await database["trail"].delete_one({"_id": "stopped"})
    for text, why in (
        (known.text, "nothing is lost"),
        (told.replace("\n30\n", "\n31\n"), "cannot be taken: the signature"),
        ("what is this", "cannot be taken"),
        (log_key(provider_of(database), 2).sign(30, bytes(32)), "are known of"),
        (log_key(provider_of(database)).sign(10, bytes(32)), "begin after the latest"),
    ):
        with pytest.raises(BackupError, match=why):
            await begin(stack_infra, database, text)
    with pytest.raises(BackupError, match="the database of another one"):
        await begin(stack_infra, database, log_key(provider_of(database), 2).sign(30, bytes(32)), 2)
    later = {"_id": "writer", "holder": "somebody", "until": now() + timedelta(minutes=1)}
    await database["leases"].insert_one(later)
    with pytest.raises(BackupError, match="is running"):
        await begin(stack_infra, database, told)
    assert await trail(database) == before


def command(*given: str) -> Result:
    app = typer.Typer()
    app.command()(begin_command)
    return CliRunner().invoke(app, list(given))


async def test_the_command_begins_again_with_the_key_that_it_is_given(
    stack_infra: Infrastructure, database: Database, told: str, tmp_path: Path
) -> None:
    file, vkey = tmp_path / "checkpoint.txt", str(log_key(provider_of(database)).public())
    file.write_text(told, encoding="utf-8")
    # The database is named by a prefix and the service.
    prefix = f"{database.name}_"
    entries = await trail(database)
    there = database.client[f"{prefix}audit"]
    await there["entries"].insert_many(entries)
    given = ("--checkpoint", str(file), "--uri", stack_infra.mongo, "--prefix", prefix)
    try:
        empty = ("--data", str(tmp_path / "nothing"))
        for wrong, why in (
            (("--checkpoint", str(tmp_path / "none"), *given[2:]), "none cannot be read"),
            ((*given, *empty), "say with --key"),
            ((*given, "--key", "what is this"), "--key: "),
        ):
            failed = await asyncio.to_thread(command, *wrong)
            assert isinstance(failed.exception, BackupError)
            assert why in str(failed.exception)
        done = await asyncio.to_thread(command, *given, "--key", vkey)
        assert done.output.startswith("log 2 begins with the checkpoint of log 1; 20 entries follow\n")
        assert await there["entries"].count_documents({}) == 21
    finally:
        await database.client.drop_database(there.name)
