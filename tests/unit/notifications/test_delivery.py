"""Sending a feed on: in order, from where it was, and only by who holds the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Ack, Outgoing
from services.notifications.delivery import Delivery
from services.notifications.domain.checkpoint import SHARED
from services.notifications.domain.directory import Directory
from services.notifications.streams import Hub
from tests.unit.notifications.test_streams import FEED, Feed, a_hub


class World:
    """Lease, cursors, topics and producer in one; `refuse` names numbers that fail once."""

    def __init__(self) -> None:
        self.mine = True
        self.incarnation = "one"
        self.cursors: dict[str, tuple[int, str]] = {}
        self.topics: list[tuple[str, int | None]] = []
        self.sent: list[int] = []
        self.refuse: set[int] = set()
        self.logged: list[tuple[int, int]] = []
        self.log_away, self.waited = False, 0

    async def held(self) -> bool:
        return self.mine

    async def release(self) -> None:
        self.mine = False

    async def cursor(self, organisation: str) -> tuple[int, str]:
        return self.cursors.get(organisation, (0, ""))

    async def set_cursor(self, organisation: str, n: int, incarnation: str) -> None:
        self.cursors[organisation] = (n, incarnation)

    async def ensure_topics(self, wanted: Mapping[str, Collection[int]], partitions: int | None = None) -> None:
        self.topics += [(name, partitions) for name in wanted]

    async def send(self, records: Sequence[Outgoing], partition: int | None = None) -> list[Ack | None]:
        assert partition == 0
        numbers = [int(headers["ce_sequence"]) for _, _, headers, _ in records]
        if any(headers["ce_type"] != SHARED.encode() for _, _, headers, _ in records):
            assert self.logged[-1] == (numbers[0], numbers[-1])
        acks: list[Ack | None] = []
        for topic, _, headers, _ in records:
            n = int(headers["ce_sequence"])
            assert topic == f"partners.{FEED}"
            acks.append(None if n in self.refuse else Ack(0, n))
            self.refuse.discard(n)
            self.sent += [n] if acks[-1] else []
        return acks

    async def first(self, _: str) -> int:
        return 1

    async def delivered(self, organisation: str, first: int, last: int) -> None:
        assert organisation == FEED
        if self.log_away:
            self.waited += 1
            raise StoreUnavailable
        self.logged.append((first, last))

    def delivery(self, hub: Hub) -> Delivery:
        directory = Directory()
        for name, kafka in ((FEED, True), ("wijkteam", False)):
            directory.learn([(f"organisation-{name}", {"name": name, "municipality": None, "kafka": kafka})])
        return Delivery(
            hub,
            directory,
            self,
            self,
            self,
            self,
            delivered=self.delivered,
            first=self.first,
            incarnation=lambda: self.incarnation,
        )


async def until(holds: Callable[[], bool], delivery: Delivery) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await delivery.look()
            await asyncio.sleep(0.001)


async def test_a_record_that_fails_is_sent_again_and_nothing_is_left_out() -> None:
    feed, world = Feed(), World()
    feed.append(30)
    world.refuse = {4, 17}
    delivery = world.delivery(a_hub(feed))
    await until(lambda: world.cursors.get(FEED) == (30, "one"), delivery)
    assert list(dict.fromkeys(n for n in world.sent if n <= 4)) == [1, 2, 3, 4]
    assert set(world.sent) == set(range(1, 31))
    assert world.topics[0] == (f"partners.{FEED}", 1)
    assert {name for name, _ in world.topics} == {f"partners.{FEED}"}
    await delivery.close()


async def test_it_goes_on_from_its_cursor_and_begins_again_on_another_broker() -> None:
    feed, world = Feed(), World()
    feed.append(5)
    world.cursors[FEED] = (3, "one")
    delivery = world.delivery(a_hub(feed))
    await until(lambda: world.cursors[FEED] == (5, "one"), delivery)
    assert world.sent == [4, 5]
    await delivery.close()
    world.mine, world.incarnation = True, "two"
    again = world.delivery(a_hub(feed))
    await until(lambda: world.cursors[FEED] == (5, "two"), again)
    assert world.sent == [4, 5, 1, 2, 3, 4, 5]
    await again.close()


async def test_what_is_sent_is_in_the_processing_log_first_or_it_is_not_sent() -> None:
    feed, world = Feed(), World()
    feed.append(5)
    world.log_away = True
    delivery = world.delivery(a_hub(feed))
    await until(lambda: world.waited > 1, delivery)
    assert world.sent == []
    world.log_away = False
    await until(lambda: world.cursors.get(FEED) == (5, "one"), delivery)
    assert sorted({n for first, last in world.logged for n in range(first, last + 1)}) == [1, 2, 3, 4, 5]
    await delivery.close()


async def test_what_everybody_gets_is_no_look_at_anything() -> None:
    feed, world = Feed(), World()
    feed.shared = set(range(1, 11)) | {13}
    feed.append(10)
    delivery = world.delivery(a_hub(feed))
    await until(lambda: world.cursors.get(FEED) == (10, "one"), delivery)
    assert (world.sent, world.logged) == (list(range(1, 11)), [])
    await delivery.close()
    world.mine = True
    feed.append(5)
    again = world.delivery(a_hub(feed))
    await until(lambda: world.cursors.get(FEED) == (15, "one"), again)
    assert {12, 14, 15} <= {n for first, last in world.logged for n in range(first, last + 1)}
    await again.close()


async def test_without_the_lease_nothing_is_sent() -> None:
    feed, world = Feed(), World()
    feed.append(5)
    world.mine = False
    delivery = world.delivery(a_hub(feed))
    await delivery.look()
    await asyncio.sleep(0.01)
    assert world.sent == []
    world.mine = True
    await until(lambda: len(world.sent) == 5, delivery)
    world.mine = False
    feed.append(5)
    await delivery.look()
    await asyncio.sleep(0.01)
    assert len(world.sent) == 5
