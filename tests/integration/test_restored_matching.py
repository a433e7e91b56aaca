"""Matching, restored from a backup while the others went on: it is where it was, and gives no number twice."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hulpketen_contracts import Position

from tests.conftest import Infrastructure
from tests.integration.backups import Backup
from tests.integration.matching import HELP, Matching, read, running
from tests.integration.surroundings import Neighbour
from tests.unit.matching.made_up import signal, withdrawal

DATABASE = "restored_matching"


@pytest_asyncio.fixture
async def intake(infrastructure: Infrastructure) -> AsyncIterator[Neighbour]:
    async with Neighbour.speaking(infrastructure, "intake") as one:
        yield one


async def told(intake: Neighbour, person: str, **fields: Any) -> Any:
    given = signal(person=person, **fields)
    await intake.publish(given, f"signal-{given.signal}")
    return given


async def answered(matching: Matching, who: dict[str, str], path: str, body: Any = None) -> dict[str, Any]:
    answer = await matching.ask(who, "POST", path, body)
    assert answer.is_success, answer.text
    return dict(answer.json())


async def aggregates(matching: Matching) -> dict[str, Any]:
    """All that a decision looks at, by aggregate, once all is published."""
    async with asyncio.timeout(20):
        while await matching.service.store.waiting():
            await asyncio.sleep(0.05)
    found = await matching.service.database["aggregates"].find().to_list(None)
    names = ("epoch", "seq", "state", "in", "erased")
    return {each["_id"]: {name: each.get(name) for name in names} for each in found}


async def positions(infrastructure: Infrastructure, person: str, count: int) -> list[Position | None]:
    events = await read(infrastructure, "cases", lambda e: getattr(e.data, "person", None) == person, count)
    return [event.envelope.position for event in events]


async def test_it_takes_again_what_it_decided_since_the_backup(
    infrastructure: Infrastructure, intake: Neighbour, tmp_path: Path
) -> None:
    known, new, erased = (str(uuid.uuid4()) for _ in range(3))
    backup = Backup(infrastructure, tmp_path, "matching", DATABASE)
    async with running(infrastructure, tmp_path, DATABASE) as matching:
        await matching.fill_directory()
        first = await told(intake, known)
        case = (await matching.file(known))["cases"][0]["id"]
        await told(intake, erased)
        await matching.file(erased)
        await backup.take()

        coordinator = matching.token("coordinator", "gemeente-assen")
        partner = matching.token("partner", "maatjes-voorbeeld")
        second = await told(intake, known, partner_type="Energie")
        await matching.file(known, lambda state: state["cases"][0]["count"] == 2)
        made = await answered(matching, coordinator, "/v1/referrals", {"case": case, "service": "maatjes"})
        await answered(matching, partner, f"/v1/referrals/{made['referral']}/accept")
        await intake.publish(withdrawal(first), f"signal-{first.signal}")
        await matching.file(known, lambda state: state["cases"][0]["count"] == 1)
        await told(intake, new)
        other = (await matching.file(new))["cases"][0]["id"]
        await answered(matching, coordinator, f"/v1/cases/{other}/close", {"result": "Vervolghulp en/of verwijzing"})
        await matching.ask(coordinator, "PUT", "/v1/services/maatjes", HELP | {"name": "Een andere naam"})
        before = await aggregates(matching)
        count = before[f"file-{known}"]["seq"]
        await positions(infrastructure, known, count)

    await backup.restore(erased)
    async with running(infrastructure, tmp_path, DATABASE) as matching:
        after = await aggregates(matching)
        assert after.pop(f"file-{erased}")["erased"]
        before.pop(f"file-{erased}")
        assert after == before

        third = await told(intake, known, partner_type="Water")
        state = await matching.file(known, lambda state: state["cases"][0]["count"] == 2)
        assert [each["id"] for each in state["cases"][0]["signals"]] == [second.signal, third.signal]
        partner = matching.token("partner", "maatjes-voorbeeld")
        await answered(matching, partner, f"/v1/referrals/{made['referral']}/start", {})
        count = (await aggregates(matching))[f"file-{known}"]["seq"]
        numbers = [Position(f"file-{known}", 1, n + 1) for n in range(count)]
        assert await positions(infrastructure, known, count) == numbers


@pytest.mark.embedded("Apache Kafka keeps its log")
async def test_without_the_log_of_its_events_it_begins_a_new_epoch(
    infrastructure: Infrastructure, intake: Neighbour, tmp_path: Path
) -> None:
    known, new = str(uuid.uuid4()), str(uuid.uuid4())
    backup = Backup(infrastructure, tmp_path, "matching", DATABASE)
    async with running(infrastructure, tmp_path, DATABASE) as matching:
        await told(intake, known)
        await matching.file(known)
        await aggregates(matching)
        await backup.take()
        await told(intake, known, partner_type="Energie")
        await matching.file(known, lambda state: state["cases"][0]["count"] == 2)
    infrastructure.kill("broker")
    await backup.restore()
    async with (
        running(infrastructure, tmp_path, DATABASE) as matching,
        Neighbour.speaking(infrastructure, "intake") as others,
    ):
        for person in (known, new):
            await told(others, person, partner_type="Water")
        (opened, *_), (first, *_) = [
            [p for p in await positions(infrastructure, person, count) if p and p.epoch > 1]
            for person, count in ((new, 2), (known, 3))
        ]
        assert first.epoch == opened.epoch  # so that who has seen (1, 4) of either takes what comes now
        assert (first.seq, opened.seq) == (1, 1)
