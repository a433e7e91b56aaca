"""An auditor checks the trail of a running chain with commands alone, and finds whatever was altered."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cli.trail import ALARMED
from deploy.local.services import database_of
from deploy.local.stack import LocalStack
from services.audit.signing_key import LogKey
from services.chassis.keys import FileKeyProvider

COMMAND = Path(sys.executable).with_name("hulpketen")
QUICK = {"audit": {"AUDIT_CHECKPOINT_S": "0.2"}}
WITHIN_S = 60
ENTRIES = 40  # the sample makes some more

pytestmark = pytest.mark.embedded("it alters the database of the stack itself")


class Machine:
    """Somebody's machine, with the commands, in a folder of their own."""

    def __init__(self, stack: LocalStack, data: Path, home: Path) -> None:
        self.data = data
        self.home = home
        self.stack = stack
        self.audit: Any = MongoClient(stack.addresses["mongo"])[database_of("audit")]

    async def run(self, *words: str) -> tuple[int, list[str], str]:
        """The exit code of `hulpketen audit …`, its lines, and what it said beside them."""
        return await self.execute(str(COMMAND), "audit", *words, "--data", str(self.data))

    async def execute(self, *line: str, **environment: str) -> tuple[int, list[str], str]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *line, cwd=self.home, stdout=pipe, stderr=pipe, env={**os.environ, **environment}
        )
        async with asyncio.timeout(WITHIN_S):
            out, error = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode().splitlines(), error.decode()

    async def signed(self) -> int:
        """How many entries are signed, once they are enough."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                last = await asyncio.to_thread(self.audit["checkpoints"].find_one, {}, sort=[("_id", -1)])
                if last and last["_id"] >= ENTRIES:
                    return int(last["_id"])
                await asyncio.sleep(0.1)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    async with LocalStack(data, sample=True, env=QUICK) as stack:
        found = Machine(stack, data, home)
        await found.signed()
        yield found
        found.audit.client.close()


async def verifies_proves_and_exports(machine: Machine) -> None:
    code, lines, said = await machine.run("verify")
    assert (code, "compare that with what its keeper told you" in said) == (0, True)
    size = int(lines[1].split()[1])
    assert lines[0] == "trail: localhost/hulpketen/1"
    code, lines, said = await machine.run("verify")
    assert (code, said) == (0, "")
    assert f"goes on from the checkpoint of {size} entries that was kept" in lines

    # From elsewhere, with nothing but an address and a token.
    there = [str(COMMAND), "audit", "verify", "--url", machine.stack.addresses["audit"], "--memory", "elsewhere.json"]
    code, lines, said = await machine.execute(*there, TOKEN=machine.stack.token("auditor"))
    assert (code, lines[0]) == (0, "trail: localhost/hulpketen/1"), said
    code, _, said = await machine.execute(*there, TOKEN=machine.stack.token("sender"))
    assert (code, "403" in said, len(said.splitlines())) == (1, True, 1)

    event = machine.audit["entries"].find_one({"about.person": {"$exists": True}})["eventId"]
    assert (await machine.run("prove", event, "-o", "entry.tlog-proof"))[0] == 0
    code, lines, _ = await machine.run("check", "entry.tlog-proof")
    assert (code, f"event: {event}" in lines) == (0, True)
    proof = machine.home / "entry.tlog-proof"
    proof.write_text(proof.read_text(encoding="utf-8").replace("index ", "index 1"), encoding="utf-8")
    code, lines, said = await machine.run("check", "entry.tlog-proof")
    assert (code, lines, said.startswith("hulpketen: not right: ")) == (1, [], True)

    assert (await machine.run("export", "--from", "2026-01-01", "-o", "trail.zip"))[0] == 0
    assert (await machine.run("verify", "--bundle", "trail.zip"))[0] == 0
    code, lines, _ = await machine.execute(sys.executable, "-m", "hulpketen_contracts.trail", "verify", "trail.zip")
    assert (code, lines[0]) == (0, "trail: localhost/hulpketen/1")
    code, _, said = await machine.run("export", "--from", "2026-02-01", "--to", "2026-01-01", "-o", "none.zip")
    assert (code, said) == (1, "hulpketen: the period ends (2026-01-01) before it starts (2026-02-01)\n")


async def finds_every_alteration_of_a_copy_and_leaves_the_chain_as_it_is(machine: Machine) -> None:
    before = machine.audit["entries"].find_one({"_id": 20})
    code, lines, said = await machine.run("tamper-test", "--json")
    assert (code, said) == (0, "")
    found = json.loads(lines[0])
    assert found == {"altered": found["altered"], "found": found["altered"], "proofsValidAfterErasure": True}
    assert found["altered"] >= 29
    assert machine.audit["entries"].find_one({"_id": 20}) == before
    assert not [name for name in machine.audit.client.list_database_names() if "tamper" in name]


async def is_told_of_an_altered_entry_and_alarmed_by_rewritten_history(machine: Machine) -> None:
    machine.audit["entries"].update_one({"_id": 7}, {"$set": {"organisation": "somebody-else"}})
    code, lines, said = await machine.run("verify")
    assert (code, lines) == (1, [])
    assert said.endswith("hulpketen: not right: entry 7 is not what was signed\n")

    # What the keeper itself signed before, over another tree.
    key = LogKey(FileKeyProvider(machine.data / "keys" / "audit.json"), "localhost/hulpketen", 1)
    kept = key.sign(7, bytes(32))
    memory = machine.home / "seen.json"
    memory.write_text(json.dumps({"keys": f"{key.public()}\n", "checkpoint": kept}))
    code, lines, said = await machine.run("verify", "--memory", str(memory))
    assert (code, lines) == (ALARMED, [])
    assert said.startswith("ALARM: ")
    (file,) = machine.home.glob("seen.alarm-*.json")
    evidence = json.loads(file.read_text())
    assert (evidence["kept"], "localhost/hulpketen/1" in evidence["shown"]) == (kept, True)
    assert json.loads(memory.read_text())["checkpoint"] == kept


async def test_an_auditor_checks_the_trail_without_trusting_anybody(machine: Machine) -> None:
    await verifies_proves_and_exports(machine)
    await finds_every_alteration_of_a_copy_and_leaves_the_chain_as_it_is(machine)
    await is_told_of_an_altered_entry_and_alarmed_by_rewritten_history(machine)
