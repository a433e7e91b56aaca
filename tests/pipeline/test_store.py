"""What the pipeline counts on of its store, and that the store of the simulation is no better than MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hulpketen_contracts import Position

from services.chassis.pipeline.errors import UnknownDeadLetter, WriteRefused
from services.chassis.pipeline.model import Ack, DeadLetter, Outgoing, Parked, Record
from services.chassis.pipeline.ports import Cleared, Document, Write
from services.chassis.service import now
from tests.pipeline.pairs import REFERENCE, TOO_LARGE, Stores

GROUP = "matching"
SOON = timedelta(seconds=2)


async def test_a_write_goes_in_only_where_the_version_is_the_one_that_was_read(stores: Stores) -> None:
    one = _document("a", 1, state={"n": 1})
    assert await stores.store.write([Write(one, 0)]) == [True]
    assert await stores.store.write([Write(_document("a", 1, state={"n": 9}), 0)]) == [False]
    two = _document("a", 2, state={"n": 2})
    assert await stores.store.write([Write(two, 1)]) == [True]
    assert await stores.store.write([Write(_document("a", 2, state={"n": 9}), 1)]) == [False]
    assert await stores.store.load(["a", "b"]) == {"a": two}


async def test_of_those_who_write_at_once_one_is_first(stores: Stores) -> None:
    await stores.store.write([Write(_document("a", 1), 0)])
    racers = [_document("a", 2, state={"n": n}) for n in range(8)]
    results = await asyncio.gather(*(stores.store.write([Write(racer, 1)]) for racer in racers))
    winners = [racer for racer, (won,) in zip(racers, results, strict=True) if won]
    assert len(winners) == 1
    assert (await stores.store.load(["a"]))["a"] == winners[0]


async def test_a_lost_race_and_a_refusal_leave_the_others_of_a_bulk_alone(stores: Stores) -> None:
    await stores.store.write([Write(_document("a", 1), 0)])
    huge = _document("b", 1, state={"bytes": b"x" * TOO_LARGE})
    writes = [Write(_document("a", 1), 0), Write(huge, 0), Write(_document("c", 1), 0), Write(_document("a", 2), 1)]
    lost, refused, *others = await stores.store.write(writes)
    assert (lost, others) == (False, [True, True])
    assert isinstance(refused, WriteRefused)
    assert set(await stores.store.load("abc")) == {"a", "c"}


async def test_what_was_loaded_is_the_readers_own(stores: Stores) -> None:
    await stores.store.write([Write(_document("a", 1, seqs=[1]), 0)])
    loaded = (await stores.store.load(["a"]))["a"]
    loaded["outbox"].clear()
    loaded["in"]["stream"] = [1, 1]
    assert await stores.store.load(["a"]) == {"a": _document("a", 1, seqs=[1])}


async def test_clearing_takes_out_what_was_published_and_not_what_was_written_since(stores: Stores) -> None:
    await stores.store.write([Write(_due(_document(id, 1, seqs=[1, 2])), 0) for id in "abc"])
    await stores.store.write([Write(_due(_document("b", 2, seqs=[1, 2, 3])), 1)])
    cleared = [Cleared("a", 1, 2, whole=True), Cleared("b", 1, 2, whole=True), Cleared("c", 1, 1, whole=False)]
    await stores.store.clear(cleared)
    left = await stores.store.load("abc")
    assert {id: [entry["seq"] for entry in d["outbox"]] for id, d in left.items()} == {"a": [], "b": [3], "c": [2]}
    assert {id: d["v"] for id, d in left.items()} == {"a": 1, "b": 2, "c": 1}
    assert ["due" in left[id] for id in "abc"] == [False, True, True]
    assert await stores.store.waiting() == 2


async def test_clearing_again_or_what_is_not_there_changes_nothing(stores: Stores) -> None:
    await stores.store.write([Write(_due(_document("a", 1, seqs=[1])), 0)])
    for _ in range(2):
        await stores.store.clear([Cleared("a", 1, 1, whole=True), Cleared("gone", 1, 1, whole=True)])
    assert set(await stores.store.load(["a", "gone"])) == {"a"}
    assert await stores.store.waiting() == 0


async def test_what_has_waited_too_long_comes_oldest_first(stores: Stores) -> None:
    ages = {"a": 10, "b": 30, "c": 20, "d": 0}
    await stores.store.write([Write(_due(_document(id, 1, seqs=[1]), ages[id]), 0) for id in ages])
    await stores.store.write([Write(_document("e", 1), 0)])
    before = now() - timedelta(seconds=5)
    assert [d["_id"] for d in await stores.store.due(before, 10)] == ["b", "c", "a"]
    assert [d["_id"] for d in await stores.store.due(before, 2)] == ["b", "c"]
    assert await stores.store.waiting() == 4


async def test_kept_records_are_those_of_other_incarnations_until_they_are_marked(stores: Stores) -> None:
    first, second = [_record(n) for n in (1, 2)], [_record(3)]
    await stores.store.keep([(r, Ack(0, i)) for i, r in enumerate(first)], "one")
    await stores.store.keep([(r, Ack(0, 2)) for r in second], "one")
    assert await stores.store.kept_elsewhere("one", 10) == []
    kept = await stores.store.kept_elsewhere("two", 10)
    assert [k.records for k in kept] == [first, second]
    assert [k.records for k in await stores.store.kept_elsewhere("two", 1)] == [first]
    await stores.store.mark_kept(kept[0].id, [Ack(1, 0), Ack(1, 1)], "two")
    assert [k.records for k in await stores.store.kept_elsewhere("two", 10)] == [second]
    assert [k.records for k in await stores.store.kept_elsewhere("three", 10)] == [first, second]


async def test_kept_records_are_forgotten_by_age_and_place_but_reference_data_never(stores: Stores) -> None:
    records = [(_record(1), Ack(0, 5)), (_record(2), Ack(1, 3)), (_record(3), Ack(0, 6)), (_version(1), Ack(0, 0))]
    await stores.store.keep(records, "one")
    assert await stores.store.kept_before("one", now() - timedelta(hours=1)) == []
    assert await stores.store.kept_before("two", now() + SOON) == []
    ((id, offsets),) = await stores.store.kept_before("one", now() + SOON)
    assert sorted(offsets) == [["cases", 0, 6], ["cases", 1, 3]]
    await stores.store.forget_kept([id])
    assert [k.records for k in await stores.store.kept_elsewhere("two", 10)] == [[_version(1)]]


async def test_of_reference_data_the_latest_is_kept_and_an_older_one_that_comes_late_is_not(stores: Stores) -> None:
    for seq in (1, 3, 2):
        await stores.store.keep([(_version(seq), Ack(0, seq))], "one")
    assert [k.records for k in await stores.store.kept_elsewhere("two", 10)] == [[_version(3)]]
    await stores.store.keep([(_version(3), Ack(0, 9))], "two")
    assert await stores.store.kept_elsewhere("two", 10) == []


async def test_marking_reference_data_does_not_mark_a_version_that_came_since(stores: Stores) -> None:
    await stores.store.keep([(_version(1), Ack(0, 1))], "one")
    (old,) = await stores.store.kept_elsewhere("two", 10)
    await stores.store.keep([(_version(2), Ack(0, 2))], "one")
    await stores.store.mark_kept(old.id, [Ack(0, 0)], "two")
    (left,) = await stores.store.kept_elsewhere("two", 10)
    assert left.records == [_version(2)]
    await stores.store.mark_kept(left.id, [Ack(0, 1)], "two")
    assert await stores.store.kept_elsewhere("two", 10) == []


async def test_a_parked_record_is_held_once_as_it_came_until_it_is_let_go(stores: Stores) -> None:
    parked = [Parked(Position("signal-1", 1, n), "file-1", _raw(n)) for n in (2, 3)]
    other = Parked(Position("signal-2", 1, 2), "file-2", _raw(9))
    await stores.store.park(GROUP, [*parked, other])
    await stores.store.park(GROUP, [Parked(parked[0].position, "file-1", _raw(7))])
    assert sorted(await stores.store.parked(GROUP, ["signal-1"])) == parked
    assert await stores.store.parked("notifications", ["signal-1"]) == []
    await stores.store.unpark(GROUP, [parked[0].position, Position("signal-1", 1, 9)])
    assert sorted(await stores.store.parked(GROUP, ["signal-1", "signal-2"])) == [parked[1], other]


async def test_what_is_parked_for_long_is_found_by_aggregate_and_stream(stores: Stores) -> None:
    parked = [Parked(Position("signal-1", 1, n), "file-1", _raw(n)) for n in (2, 3)]
    await stores.store.park(GROUP, [*parked, Parked(Position("signal-2", 1, 2), "file-2", _raw(9))])
    assert await stores.store.parked_before(GROUP, now() - SOON) == []
    assert await stores.store.parked_before("notifications", now() + SOON) == []
    assert await stores.store.parked_before(GROUP, now() + SOON) == [("file-1", "signal-1"), ("file-2", "signal-2")]


async def test_a_dead_letter_is_held_once_by_its_place_on_one_broker_and_its_event(stores: Stores) -> None:
    letter = _letter(2)
    await stores.store.bury(GROUP, "one", [letter])
    await stores.store.bury(GROUP, "one", [letter._replace(reason="other")])
    assert [held["reason"] for held in await stores.letters.page(10, None)] == ["decision-failed"]
    for incarnation, other in (("two", letter), ("one", _letter(3)._replace(record=letter.record))):
        await stores.store.bury(GROUP, incarnation, [other])
    held = await stores.letters.page(10, None)
    assert len(held) == 3
    assert await stores.letters.page(10, held[1]["_id"]) == held[2:]


async def test_a_dead_letter_gives_its_record_back_until_it_is_forgotten(stores: Stores) -> None:
    await stores.store.bury(GROUP, "one", [_letter(2)])
    (held,) = await stores.letters.page(10, None)
    assert await stores.letters.record(held["_id"]) == _raw(2)
    await stores.letters.forget(held["_id"])
    assert await stores.letters.page(10, None) == []
    with pytest.raises(UnknownDeadLetter):
        await stores.letters.record(held["_id"])


async def test_only_what_operations_skipped_is_passed_over(stores: Stores) -> None:
    await stores.store.bury(GROUP, "one", [_letter(2), DeadLetter(_raw(9), None, "bad-headers", "")])
    assert await stores.store.skipped(GROUP, ["signal-1"]) == set()
    for held in await stores.letters.page(10, None):
        await stores.letters.skip(held["_id"], "sent by a test")
    assert await stores.store.skipped(GROUP, ["signal-1"]) == {Position("signal-1", 1, 2)}
    assert await stores.store.skipped(GROUP, ["signal-2"]) == set()
    assert await stores.store.skipped("notifications", ["signal-1"]) == set()
    with pytest.raises(UnknownDeadLetter):
        await stores.letters.skip("there-is-none", "sent by a test")


def _document(id: str, v: int, *, seqs: Sequence[int] = (), state: dict[str, Any] | None = None) -> Document:
    outbox = [{"seq": seq, "id": f"{id}-{seq}"} for seq in seqs]
    return {"_id": id, "v": v, "epoch": 1, "seq": max(seqs, default=0), "state": state, "in": {}, "outbox": outbox}


def _due(document: Document, age_s: int = 0) -> Document:
    return document | {"due": now() - timedelta(seconds=age_s)}


def _record(n: int) -> Outgoing:
    return Outgoing("cases", b"file-1", {"ce_id": b"%d" % n}, b"\x00\xff%d" % n)


def _version(seq: int) -> Outgoing:
    return Outgoing(REFERENCE, b"organisation-1", {"ce_streamepoch": b"1", "ce_streamseq": b"%d" % seq}, b"{}")


def _raw(n: int) -> Record:
    return Record("signals", 1, n, None, b"\x00\xff", (("ce_id", b"%d" % n), ("twice", None), ("twice", b"")))


def _letter(n: int) -> DeadLetter:
    return DeadLetter(_raw(n), Position("signal-1", 1, n), "decision-failed", "Poisoned")
