"""The feed of an organisation, from the chain's events to the bytes of its stream, on the real broker and database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from hulpketen_contracts import (
    CheckpointPublished,
    HelpStarted,
    PartnerCheckpointPublished,
    PartnerReferralChanged,
    ReferralDeclined,
)

from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.pipeline.model import Outgoing
from services.chassis.pipeline.ports import Line
from services.chassis.service import now
from services.notifications.store import NotificationsStore
from tests.conftest import Infrastructure
from tests.integration.notifications import FILE, Notifications, looks, one_referral, running, take
from tests.unit.notifications.events import REFERRAL, referral


@pytest_asyncio.fixture
async def notifications(stack_infra: Infrastructure, tmp_path: Path) -> AsyncIterator[Notifications]:
    """A service of the test's own, with nothing in it but organisations."""
    async with running(stack_infra, tmp_path) as service:
        for name in ("gemeente-assen", "maatjes", "wijkteam"):
            await service.organisation(name)
        yield service


async def test_backfill_then_feed_miss_nothing(notifications: Notifications) -> None:
    await one_referral(notifications)
    await notifications.last("maatjes", 2)
    headers = notifications.token("partner", "maatjes")
    page = (await notifications.http.get("/v1/referrals", headers=headers)).json()
    assert page["asOf"] == 2
    assert [(r["referral"], r["status"], r["version"]) for r in page["items"]] == [(REFERRAL, "accepted", 2)]
    assert "case" not in page["items"][0]
    async with notifications.stream(headers, f"?after={page['asOf']}") as frames:
        await notifications.publish(referral(HelpStarted, status="started", version=3), FILE)
        (frame,) = await take(frames, 1)
    assert frame.n == 3


async def test_without_a_number_only_what_is_new(notifications: Notifications) -> None:
    await one_referral(notifications)
    await notifications.last("maatjes", 2)
    async with notifications.stream(notifications.token("partner", "maatjes")) as frames:
        first = await anext(frames)
        assert (first.n, first.event) == (2, None)
        await notifications.publish(referral(ReferralDeclined, status="declined", reason="capacity", version=3), FILE)
        (frame,) = await take(frames, 1)
        assert frame.n == 3


async def test_older_than_what_is_kept_is_gone_and_says_where_to_begin(notifications: Notifications) -> None:
    await one_referral(notifications)
    for feed, n in (("municipality-0106", 4), ("maatjes", 2), ("wijkteam", 2)):
        await notifications.last(feed, n)
    store = NotificationsStore(notifications.service.database, MongoFeeds(notifications.service.database))
    await store.prune(now() + timedelta(minutes=1))
    kept = [d["_id"]["n"] async for d in notifications.service.database["feed"].find().sort("_id", 1)]
    assert kept == [2, 4, 2]  # of each feed the last line, since the next is numbered after it
    headers = notifications.token("coordinator", "gemeente-assen")
    gone = await notifications.http.get("/v1/events", headers=headers | {"Last-Event-ID": "1"})
    assert gone.status_code == 410
    assert gone.json()["backfill"] == "/v1/referrals"
    async with notifications.stream(headers, "?after=0") as frames:
        assert [f.n for f in await take(frames, 1)] == [4]


async def test_too_many_streams_of_one_organisation(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with running(stack_infra, tmp_path, streams_per_organisation=1) as service:
        await service.organisation("maatjes")
        headers = service.token("partner", "maatjes")
        async with service.stream(headers) as frames:
            await anext(frames)
            await asyncio.sleep(0)
            refused = await service.http.get("/v1/events", headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


async def test_a_reader_that_takes_nothing_is_let_go_and_memory_is_bounded(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with running(stack_infra, tmp_path, stall_s=0.5, lines_held=50) as service:
        await service.organisation("maatjes")
        feeds = MongoFeeds(service.service.database)
        lines = [
            Line(f"id-{n}", Outgoing("partners.maatjes", b"k", _HEADERS, b'{"x":"' + b"y" * 9000 + b'"}'))
            for n in range(3000)
        ]
        await feeds.append("maatjes", 1, lines)
        token = service.token("partner", "maatjes")["Authorization"]
        host, port = service.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        hub = service.app.state.hub
        async with asyncio.timeout(10):
            while hub.readers != 1:
                await asyncio.sleep(0.01)
            while hub.readers:
                await asyncio.sleep(0.05)
        writer.close()


async def test_from_insert_to_bytes_takes_milliseconds(notifications: Notifications) -> None:
    feeds = MongoFeeds(notifications.service.database)
    took = []
    async with notifications.stream(notifications.token("partner", "maatjes")) as frames:
        await anext(frames)
        for n in range(1, 51):
            begun = time.perf_counter()
            await feeds.append("maatjes", n, [Line(f"id-{n}", _line())])
            (frame,) = await take(frames, 1)
            took.append(time.perf_counter() - begun)
            assert frame.n == n
    print(f"insert to bytes: p50 {sorted(took)[25] * 1000:.1f} ms, p98 {sorted(took)[-2] * 1000:.1f} ms")
    assert sorted(took)[25] < 0.1


async def test_a_database_that_is_killed_ends_no_feed(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with running(stack_infra, tmp_path) as service:
        for name in ("gemeente-assen", "maatjes"):
            await service.organisation(name)
        headers = service.token("partner", "maatjes")
        seen: list[int] = []
        writing = asyncio.create_task(_write(service, 30))
        await asyncio.sleep(0.3)
        stack_infra.kill("database")
        async with asyncio.timeout(60):
            while len(seen) < 30:
                try:
                    async with service.stream(headers, f"?after={seen[-1] if seen else 0}") as frames:
                        async for frame in frames:
                            seen += [frame.n] if frame.event else []
                            if len(seen) == 30:
                                break
                except (httpx.HTTPError, AssertionError):
                    await asyncio.sleep(0.2)
        await writing
        assert seen == list(range(1, 31))


async def _write(service: Notifications, count: int) -> None:
    for n in range(count):
        name = f"00000000-0000-4000-8000-{n:012d}"
        await service.publish(referral(person=name, referral=name, case=name), f"file-{name}")
        await asyncio.sleep(0.02)


def _line() -> Outgoing:
    data = {
        "referral": REFERRAL,
        "change": "referrals.made",
        "municipality": "0106",
        "service": "maatjes-thuis",
        "fromOrganisation": "wijkteam",
        "toOrganisation": "maatjes",
        "status": "made",
        "version": 1,
        "changedAt": "2026-03-01T09:30:00Z",
    }
    return Outgoing("partners.maatjes", REFERRAL.encode(), _HEADERS, httpx.Response(200, json=data).content)


_HEADERS: dict[str, Any] = {
    "content-type": b"application/json",
    "ce_specversion": b"1.0",
    "ce_type": PartnerReferralChanged.TYPE.encode(),
    "ce_id": b"id",
    "ce_source": b"urn:nld:oin:00000099000000000001:systeem:hulpketen-notifications",
    "ce_time": b"2026-03-01T09:30:00.000Z",
    "ce_subject": REFERRAL.encode(),
}


def checkpoint(size: int, before: int = 0) -> CheckpointPublished:
    text = f"hulpketen.test/audit/1\n{size}\n{'A' * 43}=\n\n— hulpketen.test/audit/1 AAAA\n"
    return CheckpointPublished(size=size, previous_size=before, checkpoint=text, proof=["B" * 43 + "="] * bool(before))


async def test_each_organisation_hears_once_how_far_the_trail_is_signed_and_that_is_no_look(
    notifications: Notifications, stack_infra: Infrastructure
) -> None:
    await notifications.organisation("fonds")
    said = checkpoint(7), checkpoint(9, before=7)
    for each in said:
        await notifications.publish(each, "trail")
    for organisation, role in (("gemeente-assen", "coordinator"), ("fonds", "partner"), ("maatjes", "partner")):
        async with notifications.stream(notifications.token(role, organisation), "?after=0") as frames:
            found = [frame.event for frame in await take(frames, 2) if frame.event]
        assert [event.data for event in found] == [PartnerCheckpointPublished(**each.model_dump()) for each in said]
        assert [event.envelope.subject for event in found] == ["7", "9"]
    await notifications.publish(referral(), FILE)
    async with notifications.stream(notifications.token("partner", "maatjes"), "?after=2") as frames:
        assert [frame.n for frame in await take(frames, 1)] == [3]
    async with aclosing(looks(stack_infra)) as lines:
        async for line in lines:
            assert line.organisation != "fonds"
            if (line.name, line.organisation, line.feed_first, line.feed_last) == ("close-stream", "maatjes", 3, 3):
                break
