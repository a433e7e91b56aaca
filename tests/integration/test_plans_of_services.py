"""No query of a service's own store scans a collection, sorts in memory or looks at many for few, but where it may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hulpketen_contracts import AccessLogged, OrganisationChanged, ProcessingLogged, ReferralMade

from services.audit.access_store import AccessStore
from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.domain.search import LinesAsked, Search
from services.audit.resident_store import ResidentStore
from services.audit.store import SCHEMA as AUDIT
from services.audit.store import TrailStore
from services.audit.witness_store import Cosigned, WitnessKey, WitnessStore
from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.mongo.sessions import MongoSessions
from services.chassis.pipeline.ports import Line
from services.chassis.service import now
from services.intake.domain.identity import Claim, Trace
from services.intake.store import IntakeStore, schema
from services.matching.store import SCHEMA as MATCHING
from services.matching.store import CaseFilter, MatchingStore
from services.notifications.domain.directory import Directory
from services.notifications.store import SCHEMA as NOTIFICATIONS
from services.notifications.store import Asked, NotificationsStore
from tests.conftest import Infrastructure
from tests.integration.profiled import profiled
from tests.integration.test_plans import DAY, MANY, aggregates, outgoing

THEN = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = (1).to_bytes(16)


def entry(n: int) -> dict[str, Any]:
    about = {"case": f"case-{n}", "person": f"person-{n}", "trace": n.to_bytes(16)}
    said = {"type": f"type-{n % 5}", "at": THEN + n * DAY, "organisation": f"org-{n % 40}", "activity": "a"}
    return {"_id": n, "eventId": f"event-{n}", "about": about} | said


async def test_of_the_audit(stack_infra: Infrastructure) -> None:
    async with profiled(stack_infra, AUDIT) as world:
        store = world.watched(TrailStore(world.database))
        checkpoints = world.watched(CheckpointStore(world.database))
        for n in range(MANY):
            await checkpoints.add(Kept(n + 1, b"root", "text"), n, THEN)
        assert await store.append([entry(n) for n in range(MANY)]) == MANY
        await store.next_index()
        await store.alias([(f"alias-{n}", f"person-{n}") for n in range(MANY)])
        await store.add_keys([{"_id": f"person-{n}"} for n in range(MANY)])
        await world.database["tombstones"].insert_one({"_id": "somebody", "at": THEN})
        await world.begin()

        assert await store.append([entry(MANY)]) == 1
        assert await store.next_index() == MANY + 1
        assert set(await store.known(["event-1", "event-x"])) == {"event-1"}
        await store.fill({3: {"case": "case-3"}, 4: None})
        assert await store.erased() == {"somebody"}
        await store.alias([("alias-x", "alias-1")])
        assert await store.with_aliases(["person-1"]) == {"person-1", "alias-1", "alias-x"}
        assert await store.add_keys([{"_id": "person-1"}, {"_id": "person-x"}]) == {"person-x"}
        assert [key["_id"] for key in await store.keys(["person-1"])] == ["person-1"]
        await store.erase(["person-2"], THEN)
        assert (await store.entry(1) or {})["eventId"] == "event-1"
        assert (await store.of_event("event-1") or {})["_id"] == 1
        assert await checkpoints.generation() == 1
        await checkpoints.stop("for a test")
        assert await checkpoints.stopped() == "for a test"
        assert not await checkpoints.add(Kept(MANY + 1, b"root", "text"), 5, THEN)
        assert await checkpoints.last() == Kept(MANY, b"root", "text") == await checkpoints.of(MANY)
        assert [entry["_id"] for entry in await checkpoints.leaves(5, 3)] == [5, 6, 7]
        assert (await checkpoints.signed_at(5), await store.end()) == (THEN, MANY + 1)
        since, until = THEN + 10 * DAY, THEN + 20 * DAY
        assert await store.numbers(since, until) == (10, 20)
        assert await store.numbers(until, until) == (0, 0)
        for asked, total in (
            (Search(), MANY + 1),
            (Search(since=since, until=until), 11),
            (Search(type="type-1"), MANY // 5),
            (Search(since=since, until=until, type="type-1"), 2),
            (Search(case="case-1"), 1),
            (Search(since=THEN, until=THEN + MANY * DAY, organisation="org-1"), MANY // 40),
        ):
            assert (await store.search(asked, 1, 10))[1] == total
            assert await store.count(asked, 1000) == total
            assert sum([len(some) async for some in store.all_of(asked)]) == total
        assert await store.persons_of("case-1") == ["person-1"]
        for question, count in (
            (LinesAsked(persons=frozenset({"person-1"})), 1),
            (LinesAsked(trace=TRACE), 1),
            (LinesAsked(since=since, until=until, activity="a"), 4),
        ):
            assert len(await store.lines(question, ["type-1", "type-2"], 10)) == count
        assert [each["_id"] for each in await store.opened("case-1", "type-1")] == [1]
        assert (await store.root("alias-1"), await store.root("person-5")) == ("person-1", "person-5")
        assert await store.erased_of({"somebody", "person-5"}) == {"somebody"}
        residents = world.watched(ResidentStore(world.database))
        until = now() + DAY
        for n in range(MANY):
            await residents.put_code(f"code-{n}", f"person-{n}", until)
        await residents.put_code("code-x", "person-1", until)
        assert await residents.take_code("code-x", now()) == "person-1"
        assert await residents.take_code("code-x", now()) is None
        assert [await residents.try_again("a minute", until) for _ in range(2)] == [1, 2]
        await residents.begin("cookie", "person-1", until)
        assert await residents.person("cookie", now()) == "person-1"
        await residents.end("cookie")
        await world.check(
            {
                "tombstones all: scan": "all who were erased, read once at the start",
                "entries about.case: sort": "a case has few entries",
                "entries at organisation type: looks at many": "a period is read: an entry pays for every index",
                "entries about.person type: sort": "a person has few lines, beside those that are about many",
                "entries about.trace type: sort": "a trace has few lines",
            }
        )


async def test_of_who_vouches_for_the_trail(stack_infra: Infrastructure) -> None:
    async with profiled(stack_infra, AUDIT) as world:
        store = world.watched(WitnessStore(world.database))
        names, line = [f"organisation-{n}" for n in range(MANY)], "line"
        for n, name in enumerate(names):
            assert await store.register(name, WitnessKey(f"key-{n}", b"%d" % n, THEN), 0)
            await store.add(Cosigned(name, "log", n, line, THEN, THEN))
        await world.begin()

        assert not await store.register("another", WitnessKey("key", b"5", THEN), 0)
        assert await store.register(names[5], WitnessKey("key", b"new", THEN), 1)
        assert [key.material for key in await store.keys(names[5])] == [b"5", b"new"]
        assert await store.owner(b"new") == names[5]
        assert await store.add(Cosigned(names[5], "log", MANY, line, THEN, THEN))
        assert not await store.add(Cosigned(names[5], "log", MANY, line, THEN, THEN))
        assert (await store.of(names[5], "log", MANY) or names)[2] == MANY
        assert await store.lines("log", MANY) == [line]
        assert [each.organisation for each in await store.all()] == sorted(names)
        await world.check({})


async def test_of_the_audits_access_log(stack_infra: Infrastructure) -> None:
    async with profiled(stack_infra, AUDIT) as world:
        store = world.watched(AccessStore(world.database))
        types = [AccessLogged.TYPE, ProcessingLogged.TYPE, ReferralMade.TYPE, OrganisationChanged.TYPE]
        await world.database["entries"].insert_many(
            entry(n)
            | {"type": types[n % 4], "at": THEN + n // 4 * DAY}
            | {"about": {"person": f"person-{n % 10}", "trace": b"%d" % (n // 4)}}
            for n in range(4 * MANY)
        )
        await world.database["aliases"].insert_many({"_id": f"alias-{n}", "into": f"person-{n}"} for n in range(MANY))
        await world.database["person_keys"].insert_many(
            {"_id": name} for n in range(MANY) for name in (f"person-{n}", f"accesses/{THEN + n * DAY:%Y-%m-%d}")
        )
        await world.begin()

        since, until = THEN + 10 * DAY, THEN + 20 * DAY
        assert await store.count(since, until, 1000) == 11
        assert sum([len(some) async for some in store.accesses(since, until)]) == 11
        assert sum([len(some) async for some in store.lines([b"1", b"2"])]) == 2
        assert sum([len(some) async for some in store.of_persons(["person-2", "person-4"], THEN, until)]) == 9
        assert await store.merged(["person-1"]) == {"alias-1": "person-1"}
        assert await store.roots(["alias-2", "person-3"]) == {"alias-2": "person-2"}
        assert await store.forget(since) == 10
        await world.check({})


async def test_of_intake(stack_infra: Infrastructure) -> None:
    async with profiled(stack_infra, schema(DAY)) as world:
        store = world.watched(IntakeStore(world.database))
        kinds: dict[str, dict[str, Any]] = {
            "signal": {"status": "identity-conflict", "municipality": "0106", "digest": "d"},
            "file": {"status": "open"},
            "choice": {"status": "waiting"},
            "service": {"status": "active", "municipalities": ["0106"], "exits": ["volunteer"]},
            "organisation": {"kind": "municipality"},
        }
        for kind, state in kinds.items():
            of_kind = aggregates(kind, [state for _ in range(MANY)])
            for n, each in enumerate(of_kind):
                each["state"] = state | {"ids": [f"referral-{n}"], "chosenAt": THEN + n * DAY}
            await world.database["aggregates"].insert_many(of_kind)
        claims = [Claim(Trace("bsn", f"hash-{n}"), f"person-{n}") for n in range(MANY)]
        await store.claim(claims, "0106", [])
        await store.write_persons([{"_id": f"person-{n}", "v": 1} for n in range(MANY)])
        await store.count_code("place", THEN)
        await store.note_batch("delivery", 0, "digest", now())
        await world.begin()

        assert len(await store.identifiers(["hash-1", "hash-2"])) == 2
        assert await store.claim([Claim(Trace("bsn", "hash-1"), "person-2")], "0106", ["hash-1"]) == set()
        assert await store.claim([Claim(Trace("bsn", "hash-2"), "person-3")], "0106", []) == {"hash-2"}
        assert set(await store.persons(["person-1"])) == {"person-1"}
        assert await store.write_persons([{"_id": "person-x", "v": 1}, {"_id": "person-1", "v": 2}]) == set()
        await store.drop_person("person-x")
        await store.forget_persons(["person-5"])
        assert await store.state("file-1")
        assert len(await store.signals(["1", "2"])) == 2
        assert len(await store.conflicts(["0106"], "")) == len(await store.conflicts(["0106", "9901"], "100")) == 20
        assert await store.conflicts(["9901"], "") == []
        assert await store.file_of("referral-1")
        assert len(await store.services("0106", "volunteer")) == 100
        assert len(await store.waiting_choices(THEN + 10 * DAY)) == 10
        assert len(await store.municipalities()) == MANY
        assert await store.count_code("place", THEN) == 2
        assert await store.delivery("delivery")
        assert await store.note_batch("delivery", 1, "digest", now())
        await store.end_delivery("delivery")
        rare = "on the rare day of a restore; an index would cost each new person"
        await world.check({"persons_identifiers persons: scan": rare})


async def test_of_matching(stack_infra: Infrastructure) -> None:
    async with profiled(stack_infra, MATCHING) as world:
        store = world.watched(MatchingStore(world.database))
        files = [
            {
                "municipality": f"010{n % 2}",
                "status": "open" if n % 20 else "closed",
                "since": THEN + n * DAY,
                "flagged": n % 10 == 0,
                "cases": [{"id": f"case-{n}"}],
                "referrals": [{"referral": f"referral-{n}"}],
            }
            for n in range(MANY)
        ]
        await world.database["aggregates"].insert_many(aggregates("file", files))
        await world.database["aggregates"].insert_many(
            aggregates("service", [{"changed_at": THEN + n * DAY} for n in range(MANY)])
        )
        await world.begin()

        assert await store.file_of_case("case-1")
        assert await store.file_of_referral("referral-1")
        for municipalities in (["0100"], ["0100", "0101"]):
            for flagged in (False, True):
                for status in ("open", "closed"):
                    assert await store.list_files(CaseFilter(municipalities, status, flagged), 1, 5)
        assert len(await store.versions(THEN + (MANY - 3) * DAY)) == 2
        assert len(await store.versions(None)) == MANY
        assert len(await store.entries(["service-1", "service-2"])) == 2
        await world.check({})


async def test_of_notifications(stack_infra: Infrastructure) -> None:
    async with profiled(stack_infra, NOTIFICATIONS) as world:
        database = world.database
        feeds = world.watched(MongoFeeds(database))
        store = world.watched(NotificationsStore(database, feeds))

        def view(kind: str, n: int) -> dict[str, Any]:
            return {kind: f"{kind}-{n}", "status": "made", "feeds": [f"feed-{n % 20}", "all"], "changed_at": THEN}

        files = [
            {"feeds": [f"feed-{n % 20}", "all"], "cases": [view("case", n)], "referrals": [view("referral", n)]}
            for n in range(MANY)
        ]
        await database["aggregates"].insert_many(aggregates("file", files))
        directory = {"name": "a", "municipality": None, "kafka": False}
        await database["aggregates"].insert_many(aggregates("organisation", [directory for _ in range(MANY)]))
        for n in range(20):
            await feeds.append(f"feed-{n}", 1, [Line(f"event-{i}", outgoing(i)) for i in range(50)])
        await database["cursors"].insert_many([{"_id": str(n), "n": 1, "incarnation": "one"} for n in range(MANY)])
        await database["sessions"].insert_many(
            [{"_id": str(n), "session": {}, "expires_at": now() + DAY} for n in range(MANY)]
        )
        await database["restored"].insert_one({"_id": "mark", "restored_at": datetime.fromtimestamp(0, UTC)})
        await world.begin()

        assert await feeds.append("feed-1", 51, [Line("event-51", outgoing(51))]) == 1
        assert (await feeds.first("feed-1"), await feeds.last("feed-1")) == (1, 51)
        assert await feeds.known("feed-1", ["event-1", "event-x"]) == {"event-1"}
        assert len(await feeds.after("feed-1", 45, 3)) == 3
        assert await feeds.append_to_each({"feed-2": 51}, Line("event-52", outgoing(52))) == {"feed-2"}
        assert await feeds.written_after("feed-1", 50)
        known = Directory()
        await store.refresh(known)
        assert len(known.organisations) == MANY
        assert await store.organisation(Directory(), "1")
        for kind in ("cases", "referrals"):
            for feed in ("feed-1", "all"):
                for status, newest, whole in ((None, False, True), ("made", False, False), ("made", True, True)):
                    assert len(await store.views(Asked(kind, feed, whole, status, newest, 1, 5))) == 5
            assert await store.view(kind, f"{kind[:-1]}-1", "feed-1", whole_file=False)
        assert len(await store.feeds()) == 20
        lines = store.new_lines()
        assert await anext(lines) == []
        await lines.aclose()  # type: ignore[attr-defined]
        await store.prune(now() - timedelta(hours=1))
        await store.prune(now() + DAY)
        assert len(await feeds.after("feed-1", 0, 100)) == 1
        await store.set_cursor("x", 1, "one")
        assert await store.cursor("x") == (1, "one")
        assert len(await store.cursors()) == MANY + 1
        sessions = world.watched(MongoSessions(database))
        await sessions.put("x", {}, now() + DAY)
        assert await sessions.get("x") == {}
        await sessions.delete("x")
        board = "the newest first, of all that one organisation may see, on its board"
        ahead = "MongoDB reads files ahead of $unwind, as much as it reads at once"
        await world.check(
            {
                "aggregates state.feeds: sort": board,
                "aggregates state.referrals.feeds: sort": board,
                "aggregates state.feeds: looks at many": ahead,
                "aggregates state.referrals.feeds: looks at many": ahead,
                "feed _id at: looks at many": "where to stop, among the lines that are then removed, once an hour",
                "cursors all: scan": "one for each organisation that chose Kafka, all of which are wanted",
            }
        )
