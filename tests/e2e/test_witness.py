"""A partner is a witness: it follows its feed, vouches for what it checked, and finds that a trail was rewritten."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cli.demo import world
from cli.demo.outside import Outside
from cli.demo.scan import Scanner
from cli.trail import ALARMED
from deploy.local.services import database_of
from deploy.local.stack import LocalStack

COMMAND = Path(sys.executable).with_name("hulpketen")
PARTNER = "maatjes-voorbeeld"
WORLD = world.World()
QUICK = {"audit": {"AUDIT_CHECKPOINT_S": "0.2", "AUDIT_ANNOUNCE_S": "0.5"}}
WITHIN_S = 60

pytestmark = pytest.mark.embedded("it rewrites the database of the stack itself")


@asynccontextmanager
async def chain(data: Path) -> AsyncIterator[tuple[LocalStack, Outside]]:
    async with (
        LocalStack(data, sample=True, env=QUICK) as stack,
        Outside(stack.addresses, stack.token, Scanner(()), WORLD) as outside,
    ):
        yield stack, outside


@asynccontextmanager
async def subscriber(data: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    words = [
        "subscribe",
        "--organisation",
        PARTNER,
        "--json",
        "--cosign",
        str(data / "maatjes.key"),
        "--data",
        str(data),
    ]
    process = await asyncio.create_subprocess_exec(
        COMMAND, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 20
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def within(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WITHIN_S):
            yield
    except TimeoutError:
        raise AssertionError(f"within {WITHIN_S} s {what} did not come") from None


async def until(process: asyncio.subprocess.Process, checked: str) -> int:
    """The size of the first checkpoint of which this came."""
    assert process.stdout
    async with within(f"a checkpoint of which {checked} came"):
        async for line in process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found.get("checked") == checked:
                return int(found["event"]["data"]["size"])
    raise AssertionError(f"it ended: {await ended(process)}")


async def ended(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """The rest that it says."""
    async with within("the end of the subscriber"):
        out, err = await process.communicate()
    return out.decode(), err.decode()


async def grow(outside: Outside) -> None:
    """Each search of the auditor is itself an entry."""
    await outside.ask("GET", "audit", "/v1/entries", outside.token("auditor", WORLD.coordinator))


async def witness(outside: Outside, size: int) -> dict[str, Any]:
    """What operations is told of the partner, once it vouches for so many entries."""
    token = outside.token("operations", WORLD.coordinator)
    async with within(f"a cosignature of {size} entries"):
        while True:
            for each in (await outside.ask("GET", "audit", "/v1/trail/witnesses", token)).body["items"]:
                if each["organisation"] == PARTNER and (each["size"] or 0) >= size:
                    return dict(each)
            await asyncio.sleep(0.1)


def rewrite(stack: LocalStack, data: Path) -> None:
    """What who has database, second place and key could do: one entry is another one, and all is signed anew."""
    client: MongoClient[Any] = MongoClient(stack.addresses["mongo"])
    try:
        audit = client[database_of("audit")]
        audit["entries"].update_one({"_id": 1}, {"$set": {"organisation": "somebody-else"}})
        audit["checkpoints"].delete_many({})
        audit["aggregates"].update_one({"_id": "trail"}, {"$set": {"state": None}})
    finally:
        client.close()
    shutil.rmtree(data / "trail")


async def test_a_partner_vouches_for_the_trail_and_finds_out_that_it_was_rewritten(tmp_path: Path) -> None:
    async with chain(tmp_path) as (stack, outside):
        async with subscriber(tmp_path) as process:
            first = await until(process, "first")
            await grow(outside)
            assert await until(process, "goes-on") > first
            found = await witness(outside, first)
            assert found["vkey"].startswith(f"{PARTNER}+")
            process.terminate()  # no Ctrl-C: it is ignored where the tests run in the background
            out, err = await ended(process)
            assert process.returncode == 0, (out, err)
        await stack.process("audit").stop()
        rewrite(stack, tmp_path)
    async with chain(tmp_path) as (_, outside), subscriber(tmp_path) as process:
        await grow(outside)
        out, err = await ended(process)
    assert process.returncode == ALARMED, (out, err)
    assert "ALARM" in err
    (shown,) = (tmp_path / "subscriptions").glob(f"{PARTNER}.alarm-*.json")
    assert json.loads(shown.read_text())["why"] in err
