"""Feeds, leases and the remembered broker: in memory as in MongoDB."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hulpketen_contracts import Message

from services.chassis.pipeline.feed import FeedPublisher
from services.chassis.pipeline.model import Outgoing, outbox_entry
from services.chassis.pipeline.ports import Document, Line
from services.chassis.service import now
from tests.pipeline.pairs import Stores

TTL = timedelta(seconds=30)
SHORT = timedelta(seconds=0.2)


async def test_one_line_goes_into_many_feeds_at_once_but_where_its_number_is_taken_or_it_is_there(
    stores: Stores,
) -> None:
    await stores.feeds.append("maatjes", 1, [_line("event-1")])
    await stores.feeds.append("wijkteam", 1, [_line("event-9")])
    done = await stores.feeds.append_to_each({"maatjes": 1, "wijkteam": 2, "fonds": 1}, _line("event-9"))
    assert set(done) == {"fonds"}
    assert await stores.feeds.after("fonds", 0, 10) == [(1, _line("event-9").record)]
    assert (await stores.feeds.last("maatjes"), await stores.feeds.last("wijkteam")) == (1, 1)


async def test_what_is_for_everybody_is_in_each_feed_once_whoever_publishes_it_when(stores: Stores) -> None:
    readers = [f"reader-{n}" for n in range(20)]

    def publisher() -> FeedPublisher:
        return FeedPublisher(stores.store, stores.feeds, shared="all", everybody=lambda: readers)

    def document(n: int, kind: str, topic: str) -> Document:
        message = Message(topic, b"k", [("ce_type", kind.encode())], b"{}")
        return {"_id": f"a-{n}", "v": 1, "seq": n, "outbox": [outbox_entry(n, f"event-{n}", message)]}

    shared = [document(n, "all", "partners.reader-0") for n in range(1, 4)]
    own = [document(n, "own", "partners.reader-1") for n in range(4, 7)]
    first, second = publisher(), publisher()
    batches = [[each] for each in (*shared, *own)]
    await asyncio.gather(*(who.publish(batch) for batch in batches for who in (first, second)))
    await publisher().publish(shared)
    for reader in readers:
        lines = await stores.feeds.after(reader, 0, 100)
        assert [n for n, _ in lines] == list(range(1, 7 if reader == "reader-1" else 4))
        assert len(await stores.feeds.known(reader, [f"event-{n}" for n in range(1, 4)])) == 3


async def test_a_feed_is_numbered_from_one_and_read_from_any_number(stores: Stores) -> None:
    lines = [_line(f"event-{n}") for n in (1, 2, 3)]
    assert await stores.feeds.last("maatjes") == 0
    assert await stores.feeds.append("maatjes", 1, lines[:2]) == 2
    assert await stores.feeds.append("maatjes", 3, lines[2:]) == 1
    assert await stores.feeds.append("wijkteam", 1, lines[:1]) == 1
    assert (await stores.feeds.last("maatjes"), await stores.feeds.last("wijkteam")) == (3, 1)
    assert await stores.feeds.after("maatjes", 1, 10) == [(2, lines[1].record), (3, lines[2].record)]
    assert await stores.feeds.after("maatjes", 0, 1) == [(1, lines[0].record)]


async def test_appending_stops_at_a_number_that_is_taken(stores: Stores) -> None:
    await stores.feeds.append("maatjes", 2, [_line("event-2")])
    assert await stores.feeds.append("maatjes", 1, [_line(f"event-{n}") for n in (5, 6, 7)]) == 1
    found = await stores.feeds.after("maatjes", 0, 10)
    assert found == [(1, _line("event-5").record), (2, _line("event-2").record)]


async def test_appending_stops_at_an_event_that_the_feed_has(stores: Stores) -> None:
    await stores.feeds.append("maatjes", 1, [_line("event-1")])
    assert await stores.feeds.append("maatjes", 2, [_line("event-2"), _line("event-1"), _line("event-3")]) == 1
    assert await stores.feeds.last("maatjes") == 2
    assert await stores.feeds.known("maatjes", ["event-1", "event-2", "event-3"]) == {"event-1", "event-2"}
    assert await stores.feeds.known("wijkteam", ["event-1"]) == set()


async def test_of_those_who_append_at_once_each_number_is_given_once(stores: Stores) -> None:
    done = await asyncio.gather(*(stores.feeds.append("maatjes", 1, [_line(f"event-{n}")]) for n in range(6)))
    assert sorted(done) == [0, 0, 0, 0, 0, 1]
    assert await stores.feeds.last("maatjes") == 1


async def test_a_lease_is_renewed_by_its_holder_and_refused_to_others(stores: Stores) -> None:
    assert await _acquire(stores, "one") == 1
    assert await _acquire(stores, "one") == 1
    assert await _acquire(stores, "other") is None
    assert await _acquire(stores, "other", name="writer") == 1


async def test_a_lease_past_its_time_goes_to_another_with_a_higher_number(stores: Stores) -> None:
    assert await _acquire(stores, "one", ttl=SHORT) == 1
    async with asyncio.timeout(5):
        while (fence := await _acquire(stores, "other")) is None:
            await asyncio.sleep(0.02)
    assert fence == 2
    assert await _acquire(stores, "one") is None


async def test_a_lease_that_was_given_back_is_free_at_once(stores: Stores) -> None:
    await _acquire(stores, "one")
    await stores.leases.release("relay", "other")
    assert await _acquire(stores, "other") is None
    await stores.leases.release("relay", "one")
    assert await _acquire(stores, "other") == 2


async def test_of_those_who_want_a_lease_at_once_one_gets_it(stores: Stores) -> None:
    fences = await asyncio.gather(*(_acquire(stores, f"holder-{n}") for n in range(6)))
    assert [fence for fence in fences if fence] == [1]


async def test_the_broker_last_seen_is_remembered(stores: Stores) -> None:
    assert await stores.incarnation.incarnation() == ""
    for cluster in ("one", "two"):
        await stores.incarnation.set_incarnation(cluster)
        assert await stores.incarnation.incarnation() == cluster


async def _acquire(stores: Stores, holder: str, *, name: str = "relay", ttl: timedelta = TTL) -> int | None:
    moment = now()
    return await stores.leases.acquire(name, holder, moment, moment + ttl)


def _line(event: str) -> Line:
    return Line(event, Outgoing("partners.maatjes", b"referral", {"ce_id": event.encode()}, event.encode()))
