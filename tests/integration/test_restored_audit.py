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
async def running(infrastructure: Infrastructure, folder: Path) -> AsyncIterator[Service]:
    given = sections(infrastructure, folder, "audit", DATABASE) | {"audit": {}, "pipeline": {"lease_s": 1.5}}
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
