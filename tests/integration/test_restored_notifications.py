"""Notifications, restored from a backup: a partner loses nothing, gets nothing twice, and no number means two lines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from hulpketen_contracts import HelpEnded, HelpStarted, ReferralAccepted
from hulpketen_contracts.reader import FeedReader, Gap

from tests.conftest import Infrastructure
from tests.integration.backups import Backup
from tests.integration.notifications import FILE, Frame, Notifications, running, take
from tests.unit.notifications.events import case, proposed, referral

DATABASE = "restored_notifications"
REACHED = {"maatjes": 3, "wijkteam": 3, "municipality-0106": 5}


async def lines(service: Notifications) -> dict[str, list[str]]:
    """The events of each feed, in the order of their numbers."""
    found: dict[str, list[str]] = {}
    async for each in service.service.database["feed"].find().sort("_id", 1):
        found.setdefault(each["_id"]["org"], []).append(each["event"])
    return found


async def views(service: Notifications) -> list[Any]:
    return await service.service.database["aggregates"].find({}, {"state": 1}).sort("_id", 1).to_list(None)


async def reach(service: Notifications) -> None:
    for feed, n in REACHED.items():
        await service.last(feed, n)


async def test_a_partner_begins_anew_and_misses_nothing(infrastructure: Infrastructure, tmp_path: Path) -> None:
    backup = Backup(infrastructure, tmp_path, "notifications", DATABASE)
    async with running(infrastructure, tmp_path, database=DATABASE, pid=1) as service:
        say = service.publish
        for name in ("gemeente-assen", "wijkteam"):
            await service.organisation(name)
        await service.organisation("maatjes", kafka=True)
        for event in (case(), proposed(), referral()):
            await say(event, FILE)
        await service.last("maatjes", 1)
        await backup.take()
        await say(referral(ReferralAccepted, status="accepted", version=2), FILE)
        await say(referral(HelpStarted, status="started", version=3), FILE)
        await reach(service)
        await service.until({"_id": "maatjes", "n": REACHED["maatjes"]}, "cursors")  # its topic has them, too
        headers = service.token("partner", "maatjes")
        async with service.stream(headers, "?after=0") as frames:
            seen = await take(frames, 3)
        before, shown = await lines(service), await views(service)

    await backup.restore()
    async with running(infrastructure, tmp_path, database=DATABASE, pid=2) as service:
        assert await views(service) == shown
        after = await lines(service)
        assert {feed: sorted(events) for feed, events in after.items()} == {f: sorted(e) for f, e in before.items()}
        as_of = await _a_reader_of_the_stream(service, service.token("partner", "maatjes"), seen)
        await _a_reader_of_the_topic(infrastructure, as_of)


async def _a_reader_of_the_stream(service: Notifications, headers: dict[str, str], seen: list[Frame]) -> int:
    """It has lines that the backup knows nothing of; as of any number from before, it is told to begin anew."""
    for n in (1, seen[-1].n):
        gone = await service.http.get("/v1/events", headers=headers | {"Last-Event-ID": str(n)})
        assert (gone.status_code, gone.json()["backfill"]) == (410, "/v1/referrals")
    page = (await service.http.get("/v1/referrals", headers=headers)).json()
    assert [(each["status"], each["version"]) for each in page["items"]] == [("started", 3)]
    async with service.stream(headers, f"?after={page['asOf']}") as frames:
        service.message(referral(), FILE)  # as matching, it has said these before
        for _ in range(4):
            service.message(referral(), FILE)
        await service.publish(referral(HelpEnded, status="ended", outcome="completed", version=4), FILE)
        (frame,) = await take(frames, 1)
    assert frame.n == page["asOf"] + 1
    assert frame.event is not None
    assert frame.event.envelope.id not in {each.event.envelope.id for each in seen if each.event}
    return int(page["asOf"])


async def _a_reader_of_the_topic(infrastructure: Infrastructure, as_of: int) -> None:
    """On Kafka the gap shows as one, and after the backfill what comes is new."""
    consumer = AIOKafkaConsumer(
        "partners.maatjes", **infrastructure.client, auto_offset_reset="earliest", metadata_max_age_ms=500
    )
    await consumer.start()
    reader, taken, gaps = FeedReader(), [], []
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                try:
                    event = reader.kafka(record.headers, record.value)
                except Gap as gap:
                    gaps.append(gap.expected)
                    reader = FeedReader(last=as_of)
                    continue
                if event is not None:
                    taken.append(getattr(event.data, "version", 0))
                if len(taken) == 4:
                    break
    finally:
        await consumer.stop()
    assert (gaps, taken) == ([4], [1, 2, 3, 4])
