"""The live side of the feeds, over an in-memory feed: no line is missed, doubled or out of order, whatever breaks."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hulpketen_contracts import PartnerReferralChanged, from_structured

from services.chassis.pipeline.model import Outgoing
from services.notifications.domain.checkpoint import SHARED
from services.notifications.streams import Channel, Hub, Line, TooManyReadersError
from tests.unit.notifications.events import AT, REFERRAL

FEED = "maatjes"


def record(n: int, kind: str = PartnerReferralChanged.TYPE) -> Outgoing:
    data = PartnerReferralChanged(
        referral=REFERRAL,
        change="referrals.made",
        municipality="0106",
        service="maatjes-thuis",
        from_organisation="wijkteam",
        to_organisation="maatjes",
        status="made",
        version=n,
        changed_at=AT,
    )
    headers = {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_type": kind.encode(),
        "ce_id": f"id-{n}".encode(),
        "ce_source": b"urn:nld:oin:00000099000000000001:systeem:hulpketen-notifications",
        "ce_time": b"2026-03-01T09:30:00.000Z",
        "ce_subject": REFERRAL.encode(),
    }
    value = data.model_dump_json(by_alias=True, exclude_none=True).encode()
    return Outgoing(FEED, REFERRAL.encode(), headers, value)


def document(n: int, feed: str = FEED) -> dict[str, Any]:
    return {"_id": {"org": feed, "n": n}} | record(n)._asdict()


class Feed:
    """A feed in memory that can be followed; following can break, and then lines are missed."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.shared: set[int] = set()  # numbers of lines that everybody gets
        self.followers: list[asyncio.Queue[Any]] = []
        self.reads = 0

    def append(self, count: int = 1) -> None:
        for _ in range(count):
            self.lines.append(len(self.lines) + 1)
            for queue in self.followers:
                queue.put_nowait([document(self.lines[-1])])

    def break_off(self) -> None:
        for queue in self.followers:
            queue.put_nowait(None)
        self.followers.clear()

    async def new_lines(self) -> AsyncIterator[Sequence[dict[str, Any]]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.followers.append(queue)
        yield []
        while (batch := await queue.get()) is not None:
            yield batch

    async def read(self, feed: str, n: int, limit: int) -> list[tuple[int, Outgoing]]:
        assert feed == FEED
        self.reads += 1
        found = [(each, self._record(each)) for each in self.lines if each > n][:limit]
        await asyncio.sleep(0)
        return found

    def _record(self, n: int) -> Outgoing:
        return record(n, SHARED) if n in self.shared else record(n)


def a_hub(feed: Feed, held: int = 100, page: int = 10, most: int = 5, most_each: int = 3) -> Hub:
    return Hub(feed.new_lines, feed.read, held=held, page=page, most=most, most_each=most_each)


async def following(hub: Hub) -> None:
    while True:
        await hub.follow()
        await asyncio.sleep(0)


async def take(hub: Hub, n: int, until: int) -> list[int]:
    """The numbers that a reader gets, up to `until`."""
    found: list[int] = []
    async with aclosing(hub.pages(FEED, n, lambda: 5.0)) as pages:
        async for lines in pages:
            found += [line.n for line in lines]
            if found and found[-1] >= until:
                break
    return found


async def test_backlog_and_live_join_without_gap_or_double() -> None:
    feed = Feed()
    hub = a_hub(feed)
    feed.append(25)
    follower = asyncio.create_task(following(hub))
    reader = asyncio.create_task(take(hub, 3, 40))
    for _ in range(15):
        await asyncio.sleep(0)
        feed.append()
    async with asyncio.timeout(5):
        assert await reader == list(range(4, 41))
    follower.cancel()
    assert hub.readers == 0


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_breaks_each_reader_gets_every_line_once_in_order(seed: int) -> None:
    chance = random.Random(seed)
    feed = Feed()
    hub = a_hub(feed, held=chance.choice([0, 1, 5, 50]), page=chance.choice([1, 3, 10]))
    follower = asyncio.create_task(following(hub))
    readers: list[tuple[int, asyncio.Task[list[int]]]] = []
    for _ in range(60):
        what = chance.random()
        if what < 0.6:
            feed.append(chance.randrange(1, 4))
        elif what < 0.75:
            feed.break_off()
        elif len(readers) < 3:
            start = chance.randrange(0, len(feed.lines) + 1)
            readers.append((start, asyncio.create_task(take(hub, start, 200))))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
    while len(feed.lines) < 200:
        feed.append()
    async with asyncio.timeout(5):
        for start, reader in readers:
            assert await reader == list(range(start + 1, 201))
    follower.cancel()


async def test_a_reader_at_the_end_is_served_from_memory() -> None:
    feed = Feed()
    hub = a_hub(feed)
    follower = asyncio.create_task(following(hub))
    reader = asyncio.create_task(take(hub, 0, 30))
    while not hub.readers or not feed.followers or not feed.reads:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    reads = feed.reads
    for _ in range(30):
        feed.append()
        await asyncio.sleep(0)
    assert await reader == list(range(1, 31))
    assert feed.reads == reads
    follower.cancel()


async def test_slow_readers_hold_nothing_and_memory_is_bounded() -> None:
    feed = Feed()
    hub = a_hub(feed, held=20)
    follower = asyncio.create_task(following(hub))
    pages = hub.pages(FEED, 0, lambda: 5.0)
    first = asyncio.create_task(anext(pages))
    feed.append()
    assert [line.n for line in await first] == [1]
    feed.append(500)
    while feed.followers[0].qsize():
        await asyncio.sleep(0)
    assert sum(len(channel.lines) for channel in hub._channels.values()) <= 20
    found: list[int] = []
    while not found or found[-1] < 501:
        found += [line.n for line in await anext(pages)]
    assert found == list(range(2, 502))
    await pages.aclose()
    follower.cancel()


async def test_silence_is_an_empty_page_and_closing_ends_all() -> None:
    feed = Feed()
    hub = a_hub(feed)
    pages = hub.pages(FEED, 0, lambda: 0.01)
    assert await anext(pages) == []
    waiting = asyncio.create_task(anext(pages, None))
    await asyncio.sleep(0)
    hub.close()
    assert await waiting in ([], None)
    assert [page async for page in pages] == []


async def test_readers_are_counted_for_each_feed_and_in_all() -> None:
    feed = Feed()
    hub = a_hub(feed, most=3, most_each=2)
    readers = [hub.pages(each, 0, lambda: 0.01) for each in (FEED, FEED)]
    for reader in readers:
        await anext(reader)
    with pytest.raises(TooManyReadersError):
        hub.admit(FEED)
    hub.admit("another")
    for reader in readers:
        await reader.aclose()
    hub.admit(FEED)


def test_a_line_is_a_frame_with_the_number_as_id() -> None:
    frame = Line(7, record(7)).frame.decode()
    head, kind, data, *_ = frame.split("\n")
    assert head == "id: 7"
    assert kind == f"event: {PartnerReferralChanged.TYPE}"
    decoded = from_structured(json.loads(data.removeprefix("data: ")))
    assert decoded.envelope.sequence == 7
    assert decoded.envelope.stream == ""
    assert frame.endswith("\n\n")


def test_a_hole_makes_older_lines_useless() -> None:
    async def run() -> None:
        channel = Channel()
        for n in (1, 2, 5, 6):
            channel.add(Line(n))
        assert [line.n for line in channel.after(4, 10)] == [5, 6]
        assert channel.after(2, 10) == []
        assert channel.last == 6

    asyncio.run(run())
