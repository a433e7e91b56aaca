"""The trail on a real database: numbered without gaps, each event once, whatever fails, and erased without a trace."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from hulpketen_contracts import CaseClosed, OrganisationChanged, PersonErased, PersonMerged, ProcessingLogged

from services.audit import metrics, store
from services.audit.contents import Contents
from services.audit.domain.entry import Document, read
from services.audit.events import Writer
from services.audit.store import TrailBroken, TrailStore
from services.chassis.keys import SealBroken
from services.chassis.pipeline.errors import LeaseLost, StoreUnavailable
from services.chassis.pipeline.model import Record
from tests.conftest import Infrastructure
from tests.integration.audit import (
    AlwaysHeld,
    Buried,
    Database,
    a_database,
    a_person,
    ids,
    nothing_signed,
    opens,
    record,
    subject_keys,
    trail,
    writer,
)


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


async def until_safe(of: Writer, records: Sequence[Record]) -> None:
    while True:
        try:
            await of.handle(records)
        except (LeaseLost, StoreUnavailable):
            await asyncio.sleep(random.uniform(0, 0.02))
        else:
            return


async def test_entries_are_numbered_without_gaps_and_a_delivery_again_adds_nothing(database: Database) -> None:
    records = [record(a_person()) for _ in range(30)]
    one = writer(database)
    await one.handle(records[:10])
    await one.handle(records[5:20])
    await writer(database).handle([*records[15:30], *records[0:3], *records[28:30]])
    entries = await trail(database)
    assert [e["_id"] for e in entries] == list(range(30))
    assert [e["eventId"] for e in entries] == ids(records)
    assert not [entry for entry in entries if "nonce" in entry["about"]]
    contents = await Contents(subject_keys(database)).open(entries)
    assert [content and content.committed for content in contents] == [
        read(r.headers, r.value, r.topic).content for r in records
    ]
    assert all(content and opens(content, entry) for content, entry in zip(contents, entries, strict=True))
    assert len({content.nonce for content in contents if content}) == 30


async def test_a_record_that_is_no_event_goes_to_the_dead_letters_alone(database: Database) -> None:
    buried = Buried()
    bad = Record("cases", 0, 7, None, b"no event", (("x", None),))
    good = [record(a_person()), record(a_person())]
    one = Writer(TrailStore(database), AlwaysHeld(), buried, subject_keys(database))
    dead = await one.handle([good[0], bad, good[1]])
    assert [letter.record for letter in dead] == [bad]
    assert buried.letters == dead
    assert [e["eventId"] for e in await trail(database)] == ids(good)


async def test_an_event_on_a_topic_that_is_not_its_own_changes_nothing(database: Database) -> None:
    """Every service may write to the processing log; who is erased or merged is for one of them to say."""
    person = a_person()
    one = writer(database)
    await one.handle([record(person)])
    forged = [
        record(person, event_type, into=a_person())._replace(topic="processing-log")
        for event_type in (PersonErased.TYPE, PersonMerged.TYPE, OrganisationChanged.TYPE, CaseClosed.TYPE)
    ]
    letters = await one.handle(forged)
    assert [(letter.record, letter.reason) for letter in letters] == [(each, "bad-headers") for each in forged]
    (entry,) = await trail(database)
    assert entry["about"]["person"] == person
    assert await database["aliases"].count_documents({}) == 0


async def test_an_event_with_the_id_of_another_does_not_pass_for_it(database: Database) -> None:
    closed = record(a_person(), CaseClosed.TYPE)
    forged = record(a_person(), ProcessingLogged.TYPE, activity="view-case")
    its_id = ("ce_id", dict(closed.headers)["ce_id"])
    same_id = forged._replace(headers=tuple(its_id if each[0] == "ce_id" else each for each in forged.headers))
    buried = Buried()
    one = Writer(TrailStore(database), AlwaysHeld(), buried, subject_keys(database), reach=nothing_signed)
    assert [letter.record for letter in await one.handle([closed, same_id])] == [same_id]  # in one batch
    await one.handle([same_id, closed])
    assert {letter.record for letter in buried.letters} == {same_id, closed}
    await one.handle([same_id])  # and in another one
    assert buried.letters[-1].record == same_id
    assert [entry["type"] for entry in await trail(database)] == [CaseClosed.TYPE]


async def test_writers_that_all_believe_to_hold_the_lease_make_no_gap_and_nothing_twice(database: Database) -> None:
    records = [record(a_person()) for _ in range(200)]
    chance = random.Random(4)
    writers = [writer(database) for _ in range(4)]

    async def write(one: Writer) -> None:
        batches = [records[start : start + 7] for start in range(0, 200, 7)]
        chance.shuffle(batches)
        for batch in batches:
            await until_safe(one, batch)

    await asyncio.gather(*(write(one) for one in writers))
    entries = await trail(database)
    assert [e["_id"] for e in entries] == list(range(200))
    assert sorted(e["eventId"] for e in entries) == sorted(ids(records))


async def test_a_writer_without_the_lease_adds_nothing(database: Database) -> None:
    lease = AlwaysHeld()
    lease.fence = None
    with pytest.raises(LeaseLost):
        await writer(database, lease).handle([record(a_person())])
    assert await trail(database) == []


async def test_after_an_insert_that_was_not_answered_the_trail_itself_says_what_went_in(database: Database) -> None:
    class Unanswered(TrailStore):
        fails = True

        async def append(self, leaves: Sequence[Document]) -> int:
            inserted = await super().append(leaves if not self.fails else leaves[:3])
            if self.fails:
                self.fails = False
                raise StoreUnavailable("no answer")
            return inserted

    records = [record(a_person()) for _ in range(8)]
    one = writer(database, store=Unanswered(database))
    with pytest.raises(StoreUnavailable):
        await one.handle(records)
    await one.handle(records)
    entries = await trail(database)
    assert [e["_id"] for e in entries] == list(range(8))
    assert [e["eventId"] for e in entries] == ids(records)


async def test_a_killed_database_loses_and_doubles_nothing(stack_infra: Infrastructure, database: Database) -> None:
    records = [record(a_person()) for _ in range(400)]
    one = writer(database)
    async with asyncio.timeout(60):
        for start in range(0, 400, 20):
            if start == 200:
                stack_infra.kill("database")
            await until_safe(one, records[start : start + 20])
    assert [e["eventId"] for e in await trail(database)] == ids(records)


async def test_where_an_entry_is_missing_nothing_is_added(database: Database) -> None:
    await writer(database).handle([record(a_person()) for _ in range(5)])
    await database["entries"].delete_one({"_id": 2})
    with pytest.raises(TrailBroken):
        await writer(database).handle([record(a_person())])
    assert len(await trail(database)) == 4


async def test_a_trail_that_cannot_be_counted_in_one_go_is_counted_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "COUNTED_AT_ONCE", 10)
    await writer(database).handle([record(a_person()) for _ in range(35)])
    await database["entries"].delete_one({"_id": 22})
    with pytest.raises(TrailBroken):
        await writer(database).handle([record(a_person())])
    # What was counted need not be counted again.
    state = await database["trail"].find_one({"_id": store.CHECKED})
    assert state
    assert state["next"] == 20


async def test_a_trail_that_lost_its_end_since_it_was_counted_is_broken(database: Database) -> None:
    await writer(database).handle([record(a_person()) for _ in range(5)])
    await TrailStore(database).next_index()
    await database["entries"].delete_many({"_id": {"$gte": 3}})
    with pytest.raises(TrailBroken):
        await writer(database).handle([record(a_person())])


async def test_a_time_at_the_end_of_the_calendar_is_a_dead_letter_and_stops_nothing(database: Database) -> None:
    wrong = [record(a_person(), at=at) for at in ("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00")]
    right = [record(a_person()), record(a_person(), at="9998-12-31T23:59:59.999Z")]
    letters = await writer(database).handle([wrong[0], right[0], wrong[1], right[1]])
    assert [(letter.record, letter.reason) for letter in letters] == [(each, "bad-headers") for each in wrong]
    assert [entry["eventId"] for entry in await trail(database)] == ids(right)


async def test_erasing_takes_away_what_leads_to_the_person_and_leaves_every_leaf(database: Database) -> None:
    erased, alias, deeper, other = (a_person() for _ in range(4))
    one = writer(database)
    await one.handle(
        [
            record(erased),
            record(alias),
            record(other),
            record(deeper, PersonMerged.TYPE, into=alias),
            record(alias, PersonMerged.TYPE, into=erased),
        ]
    )
    before = await trail(database)
    erasure = record(erased, PersonErased.TYPE)
    await one.handle([erasure, record(erased)])
    after = await trail(database)
    leaves = [{name: value for name, value in e.items() if name != "about"} for e in after]
    assert leaves[:5] == [{name: value for name, value in e.items() if name != "about"} for e in before]
    assert [e["_id"] for e in after if "about" in e] == [2]
    everything = json.dumps(after, default=str)
    assert not [person for person in (erased, alias, deeper) if person in everything]
    assert [key["_id"] for key in await database["person_keys"].find().to_list(None)] == [other]


BATCHES: dict[str, Callable[[list[Record]], list[list[Record]]]] = {
    "one batch": lambda records: [records],
    "a batch each": lambda records: [[each] for each in records],
    "delivered again": lambda records: [records[:-1], records],
}


@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("told", [*itertools.permutations(range(3))], ids=str)
async def test_who_is_merged_into_an_erased_person_is_erased_in_whatever_order_it_is_told(
    database: Database, told: Sequence[int], batches: Callable[[list[Record]], list[list[Record]]]
) -> None:
    erased, alias, deeper, other = (a_person() for _ in range(4))
    events = [
        record(erased, PersonErased.TYPE),
        record(alias, PersonMerged.TYPE, into=erased),
        record(deeper, PersonMerged.TYPE, into=alias),
    ]
    one = writer(database)
    await one.handle([record(person) for person in (erased, alias, deeper, other)])
    for batch in batches([events[n] for n in told]):
        await one.handle(batch)
    await writer(database).handle([record(deeper), record(alias)])
    assert [entry["_id"] for entry in await trail(database) if "about" in entry] == [3]
    assert [key["_id"] for key in await database["person_keys"].find().to_list(None)] == [other]


async def test_what_comes_after_an_erasure_brings_nothing_of_the_person_back(database: Database) -> None:
    erased = a_person()
    early, erasure = record(erased), record(erased, PersonErased.TYPE)
    await writer(database).handle([early, erasure])
    again = writer(database)
    await again.handle([early, erasure, record(erased)])
    entries = await trail(database)
    assert len(entries) == 3
    assert not [e for e in entries if "about" in e]


async def test_an_erasure_that_was_cut_off_is_finished_when_it_is_delivered_again(database: Database) -> None:
    class CutOff(TrailStore):
        async def erase(self, *_: Any) -> None:
            raise StoreUnavailable("cut off")

    erased = a_person()
    records = [record(erased), record(erased, PersonErased.TYPE)]
    with pytest.raises(StoreUnavailable):
        await writer(database, store=CutOff(database)).handle(records)
    await writer(database).handle(records)
    assert [("about" in e) for e in await trail(database)] == [False, False]


async def test_with_the_key_goes_the_content_and_who_held_the_key_open_lets_go_of_it(database: Database) -> None:
    erased, other = a_person(), a_person()
    one = writer(database)
    await one.handle([record(erased), record(other), record("", note="about nobody")])
    before = await trail(database)
    copy = Contents(subject_keys(database))
    assert [content and content.data["person"] for content in await copy.open(before)] == [erased, other, ""]
    await one.handle([record(erased, PersonErased.TYPE)])
    # What somebody copied of the entries before the erasure cannot be opened by what is left.
    assert [content is None for content in await Contents(subject_keys(database)).open(before)] == [True, False, False]
    assert await one.handle([record(erased)]) == []
    assert "about" not in (await trail(database))[-1]


async def test_a_content_that_was_altered_is_shown_to_nobody_and_takes_nobody_the_others(database: Database) -> None:
    persons = [a_person() for _ in range(4)]
    await writer(database).handle([record(person) for person in persons])
    entries = await trail(database)
    key = (await subject_keys(database).known([persons[1]]))[persons[1]]
    entries[0]["about"]["sealed"] = entries[1]["about"]["sealed"]
    entries[1]["about"]["sealed"] = key.seal(b"\0{}", entries[1]["commitment"])  # with the right key
    await database["person_keys"].update_one({"_id": persons[2]}, {"$set": {"key": b"another"}})
    told: list[int | None] = []
    contents = await Contents(subject_keys(database), told.append).open(entries)
    assert [content and content.data["person"] for content in contents] == [None, None, None, persons[3]]
    assert told == [None, 0, 1]


async def test_what_comes_of_a_person_whose_key_was_altered_waits_until_the_key_is_back(database: Database) -> None:
    person, other = a_person(), a_person()
    await writer(database).handle([record(person)])
    keys = database["person_keys"]
    before = await keys.find_one_and_update({"_id": person}, {"$set": {"key": b"another"}})
    waiting = [record(other), record(person)]
    one = writer(database)
    for _ in range(2):
        with pytest.raises(SealBroken):
            await one.handle(waiting)
    assert len(await trail(database)) == 1
    await keys.replace_one({"_id": person}, before)
    assert await one.handle(waiting) == []
    contents = await Contents(subject_keys(database)).open(await trail(database))
    assert [content and content.data["person"] for content in contents] == [person, other, person]


async def test_operations_is_told_of_a_content_that_was_altered(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await writer(database).handle([record(a_person())])
    (entry,) = await trail(database)
    entry["about"]["sealed"] += b"more"
    before = metrics.altered._value.get()
    assert await Contents(subject_keys(database)).open([entry]) == [None]
    assert metrics.altered._value.get() == before + 1
    assert "content_altered" in caplog.text


async def test_an_entry_of_before_contents_were_kept_has_none(database: Database) -> None:
    await writer(database).handle([record(a_person())])
    await database["entries"].update_one({"_id": 0}, {"$set": {"about.nonce": b"n"}, "$unset": {"about.sealed": ""}})
    assert await Contents(subject_keys(database)).open(await trail(database)) == [None]


async def test_two_writers_that_meet_at_a_new_person_have_one_key(database: Database) -> None:
    person = a_person()
    both = [subject_keys(database) for _ in range(2)]
    found = await asyncio.gather(*(keys.all([person]) for keys in both))
    assert len({keys[person].nonce("event") for keys in found}) == 1


async def test_opened_keys_are_held_for_ten_seconds_at_most(database: Database) -> None:
    seconds = iter(range(100))
    keys = subject_keys(database, seconds=lambda: float(next(seconds)))
    person, other = a_person(), a_person()
    await keys.all([person])
    await database["person_keys"].delete_many({})
    assert set(await keys.known([person])) == {person}
    for _ in range(7):
        await keys.turn()
    assert await keys.known([person]) == {}
    await keys.all([other])
    keys.drop([other])
    await database["person_keys"].delete_many({})
    assert await keys.known([other]) == {}
