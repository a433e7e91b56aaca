"""The stack as a whole: its folder, its ports, and what it leaves behind (nothing)."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from deploy.local.errors import FolderInUse, PortTaken, StackError
from deploy.local.folder import running_stack
from deploy.local.ports import HOST
from deploy.local.stack import LocalStack
from tests.integration.test_local_process import gone

pytestmark = pytest.mark.embedded("its folder and ports")


async def test_what_was_stored_is_there_again_on_other_ports(tmp_path: Path) -> None:
    for expected in (None, {"_id": 1}):
        async with LocalStack(tmp_path, run=()) as stack:
            client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(stack.addresses["mongo"])
            things = client["things"]["things"]
            assert await things.find_one() == expected
            await things.replace_one({"_id": 1}, {"_id": 1}, upsert=True)
            await client.close()


async def test_a_stack_is_found_by_its_folder_while_it_runs(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no stack is running"):
        running_stack(tmp_path)
    async with LocalStack(tmp_path, run=()) as stack:
        found = running_stack(tmp_path)
        assert found["mongo"] == stack.addresses["mongo"]
        assert found["pids"]["broker"] == stack.process("broker").pid
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
        pids = {name: pid for name, pid in found["pids"].items() if name != "supervisor"}
        # As kill -9 of a supervisor leaves it:
        left = json.dumps(found)
    assert all(gone(pid) for pid in pids.values())
    (tmp_path / "stack.json").write_text(left)
    with pytest.raises(StackError, match="no stack is running"):
        running_stack(tmp_path)


async def test_a_folder_in_use_is_refused_and_two_stacks_run_side_by_side(tmp_path: Path) -> None:
    async with LocalStack(tmp_path / "one", run=()) as one:
        with pytest.raises(FolderInUse, match="already running on the data folder"):
            async with LocalStack(tmp_path / "one", run=()):
                pass
        async with LocalStack(tmp_path / "two", run=()) as two:
            assert not set(one.ports.values()) & set(two.ports.values())
        assert running_stack(tmp_path / "one")["kafka"] == one.addresses["kafka"]


@pytest.mark.parametrize("folder", ["", "new"])
async def test_a_taken_port_is_named_and_nothing_is_started_or_made(tmp_path: Path, folder: str) -> None:
    stack = LocalStack(tmp_path / folder, run=())
    taken = stack.ports["matching"]
    refused = pytest.raises(PortTaken, match=rf"port {taken} \(for matching\) is taken")
    with socket.create_server((HOST, taken)), refused:
        async with stack:
            pass
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob("logs/*"))


async def test_a_broker_above_its_limit_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.stack._WATCH_EVERY_S", 0.05)
    said: list[str] = []
    stack = LocalStack(tmp_path, run=(), broker_limit_mb=1, on_change=lambda name, what: said.append(what))
    async with stack:
        broker = stack.process("broker")
        while broker.starts < 2:
            await asyncio.sleep(0.01)
    assert "holds more than 1 MB: begins anew" in said
