"""The tamper test: each alteration is found on a copy that is right, and no copy stays behind."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.audit.tamper.alterations import ALTERATIONS
from cli.audit.tamper.copying import Source, copied
from cli.audit.tamper.run import tamper
from cli.audit.tamper.scene import Scene
from cli.bench.audit import Audit, made_up_records
from deploy.local.errors import StackError
from services.audit.store import SCHEMA
from services.chassis.keys import FileKeyProvider
from services.chassis.mongo.database import connect
from services.chassis.mongo.indexes import make_all
from services.chassis.settings import MongoSettings
from tests.conftest import Infrastructure

# One more, and the tile that is not whole would be.
ENTRIES = 511


@pytest.fixture
async def source(stack_infra: Infrastructure, tmp_path: Path) -> AsyncIterator[Source]:
    name = f"audit_{uuid.uuid4().hex[:12]}"
    client = connect(MongoSettings(uri=SecretStr(stack_infra.mongo), database=name))
    await make_all(client[name], SCHEMA.indexes)
    await Audit(client[name], tmp_path).add(islice(made_up_records(), ENTRIES))
    yield Source(client, name, tmp_path / "place", FileKeyProvider(tmp_path / "keys.json"))
    await client.drop_database(name)
    client.close()


async def test_every_alteration_is_found_and_undone(source: Source, tmp_path: Path) -> None:
    async with copied(source, tmp_path, ENTRIES) as scene:
        assert scene.kept.size == ENTRIES
        results, valid = await tamper(scene)
    assert [name for name, what in results.items() if not what] == []
    assert (results.keys(), valid) == (ALTERATIONS.keys(), True)


async def test_a_copy_that_cannot_be_made_as_it_was_is_said(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(self: Scene) -> None: ...

    monkeypatch.setattr(Scene, "restore", nothing)
    async with copied(source, tmp_path, ENTRIES) as scene:
        with pytest.raises(StackError, match="could not be made as it was after 'the time of an entry'"):
            await tamper(scene)


async def test_a_copy_of_who_was_killed_is_dropped_at_the_next_start(source: Source, tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    left, another = (f"{source.name}_tamper_{pid}" for pid in (ended.pid, os.getppid()))
    for name in (left, another):
        await source.client[name]["person_keys"].insert_one({"key": b"wrapped"})
    async with copied(source, tmp_path, ENTRIES) as scene:
        there = await source.client.list_database_names()
        assert {left, another, scene.database.name}.intersection(there) == {another, scene.database.name}
    await source.client.drop_database(another)
    assert not [name for name in await source.client.list_database_names() if name.startswith(f"{source.name}_tamper")]
