"""A backup of the whole chain, made after and in the middle of a demo, comes back on another machine."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cli.demo.outside import Outside
from cli.demo.progress import Show
from cli.demo.report import MUST_BE_ZERO
from cli.demo.run import Plan, run_on
from cli.demo.scan import Scanner
from cli.demo.target import local
from cli.demo.world import World
from deploy.local.stack import LocalStack
from tests.e2e.test_restart import FIRST, send

pytestmark = pytest.mark.embedded("it starts chains with a broker and a database of their own")

WORLD = World()
COMMAND = Path(sys.executable).with_name("hulpketen")
SIGNALS = 40
WITHIN_S = 90
Lists = dict[str, Any]


async def hulpketen(*arguments: str | Path) -> str:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False)

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    return done.stdout


@asynccontextmanager
async def chain(data: Path) -> AsyncIterator[tuple[LocalStack, Outside]]:
    async with LocalStack(data) as stack, Outside(stack.addresses, stack.token, Scanner(()), WORLD) as outside:
        yield stack, outside


async def play(stack: LocalStack) -> dict[str, Any]:
    """The figures of a demo on this chain."""
    with Show(SIGNALS) as show:
        figures, _ = await run_on(local(stack), Plan(SIGNALS, seed=7), show)
    return figures


def wrong(figures: dict[str, Any]) -> dict[str, int]:
    return {name: figures[name] for name in MUST_BE_ZERO if figures[name]}


async def backup(data: Path, file: Path) -> None:
    public = (await hulpketen("backup-key", file.with_suffix(".key"))).strip()
    await hulpketen("backup", "-o", file, "--to", public, "--data", data)


async def restore(old: Path, file: Path, new: Path) -> None:
    """On a machine that has nothing but the backup, and the keys that are kept apart from it."""
    new.mkdir()
    shutil.copytree(old / "keys", new / "keys")
    said = await hulpketen("restore", file, "--key", file.with_suffix(".key"), "--data", new)
    assert "restored: start the services" in said


async def lists(outside: Outside) -> Lists:
    """What the municipality and each partner see, and how many entries the trail has at least."""
    found: Lists = {}
    readers = [(WORLD.coordinator, "coordinator"), *((helper.id, "partner") for helper in WORLD.helpers)]
    for organisation, role in readers:
        token = outside.token(role, organisation)
        for what in ("referrals", "cases") if role == "coordinator" else ("referrals",):
            page = (await outside.ask("GET", "notifications", f"/v1/{what}?perPage=200", token)).body
            found[f"{organisation} {what}"] = page["items"]
    return found


async def test_what_everybody_saw_after_a_demo_they_see_again(tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "backup.age"
    async with chain(old) as (stack, outside):
        assert not wrong(await play(stack))
        before = await lists(outside)
        assert any(before.values())
        first = await send(outside, 10_001, FIRST)
        await backup(old, file)
    await restore(old, file, new)
    async with chain(new) as (_, outside):
        after = await lists(outside)
        for what, seen in before.items():
            assert not [each for each in seen if each not in after[what]], what
        assert await send(outside, 10_001, FIRST) == first


async def test_what_was_under_way_in_the_middle_of_a_demo_goes_on(tmp_path: Path) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "backup.age"
    async with chain(old) as (stack, _):
        demo = asyncio.create_task(play(stack))
        with mongo(stack) as client:
            await until(lambda: len(received(client)) >= SIGNALS // 3)
        await backup(old, file)
        assert not wrong(await demo)
    await restore(old, file, new)
    async with chain(new) as (stack, _):
        with mongo(stack) as client:
            assert len(received(client)) >= SIGNALS // 3
            await until(lambda: received(client) <= joined(client) and shown(client) == opened(client))
            for service in ("intake", "matching", "notifications", "audit"):
                database = client[f"hulpketen_{service}"]
                assert database["parked"].count_documents({}) == database["dead_letters"].count_documents({}) == 0


def mongo(stack: LocalStack) -> MongoClient[Any]:
    return MongoClient(stack.addresses["mongo"])


def received(client: MongoClient[Any]) -> set[str]:
    """The signals that intake took."""
    found = client["hulpketen_intake"]["aggregates"].find({"_id": {"$regex": "^signal-"}, "state.status": "received"})
    return {each["_id"] for each in found}


def joined(client: MongoClient[Any]) -> set[str]:
    """The signals that came to a file of matching."""
    found = client["hulpketen_matching"]["aggregates"].find({"_id": {"$regex": "^file-"}}, {"in": 1})
    return {stream for each in found for stream in each["in"]}


def opened(client: MongoClient[Any]) -> dict[str, int]:
    """The cases of matching, with their version."""
    found = client["hulpketen_matching"]["aggregates"].find({"_id": {"$regex": "^file-"}}, {"state.cases": 1})
    return {case["id"]: case["version"] for each in found for case in each["state"]["cases"]}


def shown(client: MongoClient[Any]) -> dict[str, int]:
    """The cases that notifications shows."""
    found = client["hulpketen_notifications"]["aggregates"].find({"_id": {"$regex": "^file-"}}, {"state.cases": 1})
    return {case["case"]: case["version"] for each in found for case in each["state"]["cases"]}


async def until(holds: Any) -> None:
    end = time.monotonic() + WITHIN_S
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
