"""The audit, restored from a backup: its trail has every event of the chain once, without a gap in its numbers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hulpketen_contracts import SignalReceived

from services.audit.main import build
from services.audit.settings import Settings
from services.chassis.service import Service
from tests.conftest import Infrastructure
from tests.integration.backups import Backup
from tests.integration.surroundings import Neighbour, ready, sections
from tests.unit.matching.made_up import signal

DATABASE = "restored_audit"


@asynccontextmanager
async def running(
    infrastructure: Infrastructure, folder: Path, database: str = DATABASE, place: Path | None = None
) -> AsyncIterator[Service]:
    own = {"place": place, "checkpoint_s": 0.2, "announce_s": 0.2}
    given = sections(infrastructure, folder, "audit", database) | {"audit": own, "pipeline": {"lease_s": 1.5}}
    app = build(Settings.model_validate(given))
    service: Service = app.state.runtime
    async with app.router.lifespan_context(app):
        await ready(service)
        yield service


async def entries(service: Service, count: int) -> list[dict[str, Any]]:
    """The trail, once it is so long."""
    collection = service.database["entries"]
    async with asyncio.timeout(30):
        while await collection.count_documents({}) < count:
            await asyncio.sleep(0.05)
    return await collection.find().sort("_id", 1).to_list(None)


async def say(intake: Neighbour, count: int, person: str = "") -> None:
    for _ in range(count):
        event: SignalReceived = signal(person=person or str(uuid.uuid4()))
        await intake.publish(event, f"signal-{event.signal}")


async def test_it_takes_the_entries_since_the_backup_again(infrastructure: Infrastructure, tmp_path: Path) -> None:
    backup, erased = Backup(infrastructure, tmp_path, "audit", DATABASE), str(uuid.uuid4())
    async with Neighbour.speaking(infrastructure, "intake") as intake:
        async with running(infrastructure, tmp_path) as service:
            await say(intake, 3)
            await say(intake, 1, erased)
            old = await entries(service, 4)
            await backup.take()
            await say(intake, 5)
            before = await entries(service, 9)
        await say(intake, 2)
        await backup.restore(erased)
        async with running(infrastructure, tmp_path) as service:
            after = await entries(service, 11)
            await say(intake, 1)
            await entries(service, 12)
    assert [entry["_id"] for entry in after] == list(range(11))
    assert {entry["eventId"] for entry in before} <= {entry["eventId"] for entry in after}
    assert len({entry["eventId"] for entry in after}) == 11
    gone = [entry for entry in after if "about" not in entry]
    assert [entry["_id"] for entry in gone] == [e["_id"] for e in old if e["about"].get("person") == erased]
    assert [entry["commitment"] for entry in after[:4]] == [entry["commitment"] for entry in old]


async def signed(service: Service, count: int) -> dict[str, Any]:
    """The last checkpoint, once it is over so many entries."""
    async with asyncio.timeout(30):
        while not (found := await service.database["checkpoints"].find_one({}, sort=[("_id", -1)])) or (
            found["_id"] < count
        ):
            await asyncio.sleep(0.05)
    return found


def leaves(trail: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in entry.items() if name != "about"} for entry in trail]


async def test_with_a_second_place_it_is_the_same_trail_that_goes_on(
    infrastructure: Infrastructure, tmp_path: Path
) -> None:
    name, place = "restored_signed_audit", tmp_path / "trail"
    backup, erased = Backup(infrastructure, tmp_path, "audit", name), str(uuid.uuid4())
    async with Neighbour.speaking(infrastructure, "intake") as intake:
        async with running(infrastructure, tmp_path, name, place) as service:
            size = len(await entries(service, 0))
            await say(intake, 3)
            await entries(service, size + 3)
            await backup.take()
            await say(intake, 2)
            await say(intake, 1, erased)
            before = await entries(service, size + 6)
            await signed(service, len(before))
        await say(intake, 2)
        await backup.restore(erased)
        async with running(infrastructure, tmp_path, name, place) as service:
            after = await entries(service, len(before) + 2)
            await signed(service, len(after))
            checkpoints = await service.database["checkpoints"].find().sort("_id", 1).to_list(None)
    assert leaves(after[: len(before)]) == leaves(before)
    assert [e["_id"] for e in after if "about" not in e] == [
        e["_id"] for e in before if e.get("about", {}).get("person") == erased
    ]
    assert not [e for e in after if "awaited" in e.get("about", {})]
    assert [each["previous"] for each in checkpoints[1:]] == [each["_id"] for each in checkpoints[:-1]]
