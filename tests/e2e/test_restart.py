"""The laptop is closed and opened again: what was entered is there, and what waited goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cli.demo import world
from cli.demo.outside import Outside
from cli.demo.people import Person, people, reference
from cli.demo.scan import Scanner
from deploy.local.services import Elsewhere
from deploy.local.stack import LocalStack
from tests.conftest import CONTAINERS, Infrastructure

WITHIN_S = 60
# Of its own: a demo may have been on the same broker and database.
WORLD = world.World(municipality="9917", run="restart", kafka=False)
HELP = next(service for service in WORLD.receivers if service.startswith("proef-maatje"))
FIRST, SECOND = people(2, Random(1), "bsn")


@asynccontextmanager
async def running(data: Path, elsewhere: Elsewhere | None) -> AsyncIterator[tuple[LocalStack, Outside]]:
    """The chain on the data folder, for as long as it is entered."""
    async with (
        LocalStack(data, run=("intake", "matching", "notifications"), elsewhere=elsewhere) as stack,
        Outside(stack.addresses, stack.token, Scanner(()), WORLD) as outside,
    ):
        yield stack, outside


async def test_what_was_entered_stays_and_a_signal_that_waited_is_matched(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    elsewhere = None
    if request.config.getoption("--infrastructure") == CONTAINERS:
        infrastructure: Infrastructure = request.getfixturevalue("stack_infra")
        elsewhere = infrastructure.elsewhere()
    async with running(tmp_path, elsewhere) as (stack, outside):
        await world.bring_in(outside)
        first = await send(outside, 1, FIRST)
        (case,) = await cases(outside, 1)
        referral = await refer(outside, case["case"])
        before = await feed(outside, 1)
        await stack.process("matching").stop()
        second = await send(outside, 2, SECOND)
    async with running(tmp_path, elsewhere) as (_, outside):
        (matched, stayed) = await cases(outside, 2)
        after = await feed(outside, 1)
        assert await send(outside, 1, FIRST) == first
        assert await send(outside, 2, SECOND) == second

    assert stayed == case
    assert matched["signals"] == 1
    assert [each["referral"] for each in after["items"]] == [referral]
    assert after["asOf"] >= before["asOf"]  # the feed's numbers go on, and never begin again


async def send(outside: Outside, number: int, person: Person) -> str:
    """The id of a signal about this person, in the municipality of the world outside."""
    creditor = outside.world.creditors[0]
    body = {
        "reference": reference(number),
        "municipality": outside.world.municipality,
        "partnerType": creditor.signals[0],
        "amount": 100,
        "signalledOn": datetime.now(UTC).date().isoformat(),
        "client": person.client,
    }
    token = outside.token("sender", creditor.id)
    # At the first start intake may still have to hear who the sender is.
    return str((await outside.ask("POST", "intake", "/v1/signals", token, body, again=(403,))).body["signal"])


async def refer(outside: Outside, case: str) -> str:
    token = outside.token("coordinator", WORLD.coordinator)
    body = {"case": case, "service": HELP}
    return str((await outside.ask("POST", "matching", "/v1/referrals", token, body, key="refer")).body["referral"])


async def cases(outside: Outside, count: int) -> list[dict[str, Any]]:
    """The open cases, the latest first, once there are so many."""
    token = outside.token("coordinator", WORLD.coordinator)
    return list((await until(outside, "matching", "/v1/cases", token, count))["items"])


async def feed(outside: Outside, count: int) -> dict[str, Any]:
    """What the receiver's list shows, once there are so many referrals."""
    token = outside.token("partner", WORLD.receivers[HELP])
    return await until(outside, "notifications", "/v1/referrals", token, count)


async def until(outside: Outside, service: str, path: str, token: str, count: int) -> dict[str, Any]:
    end = time.monotonic() + WITHIN_S
    while True:
        found: dict[str, Any] = (await outside.ask("GET", service, path, token)).body
        if len(found["items"]) >= count or time.monotonic() > end:
            assert len(found["items"]) == count
            return found
        await asyncio.sleep(0.1)
