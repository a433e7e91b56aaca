"""No query of a store scans a collection, sorts in memory or looks at many documents for few, but where it may.

What MongoDB's profiler wrote down of the commands that were really sent, with every method of every store called.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId
from hulpketen_contracts import Position, ProcessingLogged

import services
from services.audit.access_store import AccessStore
from services.audit.checkpoints import CheckpointStore
from services.audit.resident_store import ResidentStore
from services.audit.store import TrailStore
from services.audit.witness_store import WitnessStore
from services.chassis.keys import FileKeyProvider
from services.chassis.kms import Bound
from services.chassis.mongo.aliases import Aliases
from services.chassis.mongo.answers import Answers
from services.chassis.mongo.coordination import MongoIncarnation, MongoLeases
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.mongo.keys import KmsKeyProvider
from services.chassis.mongo.processing_log import LogStore, ProcessingLog
from services.chassis.mongo.restored import FoundAgain, RestoredDatabase
from services.chassis.mongo.sessions import MongoSessions
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.model import Ack, DeadLetter, IdempotencyKey, Outgoing, Parked, Record
from services.chassis.pipeline.ports import Cleared, Write
from services.chassis.service import now
from services.intake.store import IntakeStore
from services.matching.store import SCHEMA as MATCHING
from services.matching.store import MatchingStore
from services.notifications.store import NotificationsStore
from tests.conftest import Infrastructure
from tests.integration.profiled import profiled

MANY = 200
DAY = timedelta(days=1)
SOURCE = "urn:nld:oin:00000099000000000001:systeem:hulpketen-matching"
# They are given a database, and ask for nothing but statistics, indexes and their own one document; or add no query.
NO_STORES = {"Gauges", "DatabaseCheck", "Migrator", "MeasuredFeeds"}
STORES = {
    MongoStore, LogStore, DeadLetters, Answers, MongoLeases, MongoIncarnation, ProcessingLog, KmsKeyProvider,
    RestoredDatabase, Aliases, MongoFeeds, IntakeStore, MatchingStore, NotificationsStore, TrailStore,
    CheckpointStore, WitnessStore, AccessStore, ResidentStore, MongoSessions,
}  # fmt: skip


def test_every_class_that_is_given_a_database_is_tested_here() -> None:
    found: set[str] = set()
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith("__main__"):
            for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                given = inspect.signature(kind.__init__).parameters.values() if kind.__module__ == module.name else ()
                if any(str(each.annotation) in ("Database", "AsyncIOMotorDatabase[Document]") for each in given):
                    found.add(name)
    assert found - NO_STORES == {store.__name__ for store in STORES}


def raw(n: int) -> Record:
    return Record("signals", 1, n, None, b"{}", (("ce_id", b"%d" % n),))


def letter(n: int) -> DeadLetter:
    return DeadLetter(raw(n), Position(f"signal-{n % 40}", 1, n), "decision-failed", "Poisoned")


def outgoing(n: int, topic: str = "cases") -> Outgoing:
    return Outgoing(topic, b"key-%d" % n, {"ce_streamepoch": b"1", "ce_streamseq": b"%d" % n}, b"{}")


def aggregates(kind: str, states: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"_id": f"{kind}-{n}", "v": 1, "epoch": 1, "seq": 0, "state": state, "in": {}, "outbox": []}
        for n, state in enumerate(states)
    ]


class Engine:
    """Carries nothing out: its own queries are those of the store."""

    async def execute_many(self, commands: Sequence[Any]) -> list[Any]:
        return []


class Kms:
    """Wraps nothing."""

    async def wrap(self, keys: Sequence[Bound]) -> list[bytes]:
        return [each.content for each in keys]

    async def unwrap(self, wrapped: Sequence[Bound]) -> list[bytes]:
        return [each.content for each in wrapped]

    async def close(self) -> None:
        pass


async def test_the_pipelines_own(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with profiled(stack_infra, MATCHING) as world:
        letters = world.watched(DeadLetters(world.database, FileKeyProvider(tmp_path / "keys.json")))
        store = world.watched(MongoStore(world.database, letters, reference_topics=["directory"]))
        others = aggregates("file", [{}] * MANY)
        await world.database["aggregates"].insert_many(others)
        waiting = [{"_id": f"b-{n}", "v": 1, "outbox": [{"seq": 1}], "due": now()} for n in range(5)]
        await store.keep([(outgoing(n, "directory"), Ack(0, n)) for n in range(MANY)], "one")
        for n in range(MANY):
            await store.keep([(outgoing(n), Ack(0, n))], "one")
        await store.park("matching", [Parked(Position(f"signal-{n}", 1, 2), "file-1", raw(n)) for n in range(MANY)])
        await store.bury("matching", "one", [letter(n) for n in range(MANY)])
        for each in (await letters.page(MANY, None))[:5]:
            await letters.skip(each["_id"], "sent by a test")
        await world.begin()

        assert await store.write([Write(each, 0) for each in waiting]) == [True] * 5
        assert await store.write([Write(waiting[0] | {"v": 2}, 1)]) == [True]
        assert len(await store.load(["file-1", "b-1"])) == 2
        assert len(await store.due(now() + DAY, 10)) == 5
        assert (await store.waiting(), (await store.oldest_due())[0]) == (5, 5)
        await store.clear([Cleared("b-0", 1, 1, whole=True), Cleared("b-1", 1, 1, whole=True)])
        assert min(await store.held()) >= MANY
        await store.keep([(outgoing(1), Ack(0, 1)), (outgoing(1, "directory"), Ack(0, 1))], "one")
        assert await store.kept_elsewhere("one", 50) == []
        assert await store.kept_before("one", now() - DAY) == []
        assert len(await store.kept_before("one", now() + DAY)) > MANY
        assert await store.mark_for_republishing(now() - DAY) > MANY
        (again, *_) = await store.kept_elsewhere("one", 50)
        await store.mark_kept(again.id, [Ack(0, 1)], "one")
        await store.forget_kept([again.id, ObjectId()])
        await store.park("matching", [Parked(Position("signal-1", 1, 3), "file-1", raw(1))])
        assert len(await store.parked("matching", ["signal-1"])) == 2
        assert len(await store.parked_before("matching", now() + DAY)) == MANY
        assert await store.parked_before("matching", now() - DAY) == []
        await store.unpark("matching", [Position("signal-1", 1, 3)])
        await store.bury("matching", "two", [letter(1)])
        assert len(await store.skipped("matching", ["signal-1"])) <= 5
        assert await letters.waiting() > 0
        page = await letters.page(10, None)
        following = await letters.page(10, page[-1]["_id"])
        await letters.bury("matching", "two", [letter(2)])
        assert await letters.skipped("matching", ["signal-x"]) == set()
        await letters.show(following[0]["_id"])
        await letters.record(following[0]["_id"])
        await letters.skip(following[0]["_id"], "sent by a test")
        await letters.forget(following[0]["_id"])
        await letters.destroy_keys(DAY)
        await world.check(
            {"kept incarnation: sort": "the first 50 of what is to be sent again, after the loss of a broker's log"}
        )


async def test_what_services_share_beside_it(stack_infra: Infrastructure, tmp_path: Path) -> None:
    async with profiled(stack_infra, MATCHING) as world:
        database = world.database
        keys = world.watched(KmsKeyProvider(database, Kms()))
        log_store = LogStore(database, DeadLetters(database, keys), collection="processing_log_out")
        await keys.prepare()
        await keys.wrap("label", [b"1" * 32])
        states = [{"merged_into": "person"} if n < 5 else {} for n in range(MANY)]
        await database["aggregates"].insert_many(aggregates("file", states))
        await database["erasures"].insert_one({"_id": "somebody"})
        await database["leases"].insert_many([{"_id": f"lease-{n}"} for n in range(MANY)])
        await database["incarnation"].insert_one({"_id": "broker", "cluster_id": "one"})
        await database["answers"].insert_many([{"_id": n, "expires_at": now() + DAY} for n in range(MANY)])
        lines = [{"_id": str(n), "v": 1, "outbox": [{"seq": 1}], "due": now()} for n in range(MANY)]
        await database["processing_log_out"].insert_many(lines)
        found = [FoundAgain(f"file-{n}", True, Position(f"file-{n}", 1, 1), raw(n)) for n in range(MANY)]
        await RestoredDatabase(database).hold(found)
        await database["restored"].insert_one(
            {"_id": "mark", "status": "restored", "taken_at": now(), "restored_at": now()}
            | {"whole": True, "incarnation": "one", "epoch": 2}
        )
        await world.begin()

        await keys.prepare()
        wrapped = await keys.wrap("label", [b"2" * 32])
        await keys.unwrap("label", wrapped)
        await keys.wrap("another", [b"2" * 32])
        await keys.destroy("another")
        await keys.close()
        leases = world.watched(MongoLeases(database))
        assert await leases.acquire("relay", "me", now(), now() + DAY) == 1
        assert await leases.acquire("relay", "other", now(), now() + DAY) is None
        await leases.release("relay", "me")
        incarnation = world.watched(MongoIncarnation(database))
        await incarnation.set_incarnation("two")
        assert await incarnation.incarnation() == "two"
        answers = world.watched(Answers(database, now, DAY))
        key, work = IdempotencyKey("organisation", "key", "digest"), _work
        assert await answers.once(key, work) == await answers.once(key, work)
        aliases = world.watched(Aliases(database, Engine(), lambda name: f"file-{name}"))  # type: ignore[arg-type]
        assert await aliases.erase() == 0
        await aliases.erase_all(["somebody"])
        await log_store.clear([Cleared("1", 1, 1, whole=True), Cleared("2", 1, 1, whole=False)])
        assert (await log_store.oldest_due())[0] == MANY - 2
        log = world.watched(
            ProcessingLog(
                database,
                Publisher(),
                service="a",
                source=SOURCE,
                clock=now,
                spawn=_done,
            )
        )
        await log.record([_line()])
        restored = world.watched(RestoredDatabase(database))
        assert await restored.mark()
        assert await restored.erasures() == ["somebody"]
        await restored.hold(found[:1])
        assert await restored.with_own(["file-1"]) == {"file-1"}
        assert len([each async for each in restored.held()]) == MANY
        await restored.begin_epoch(2)
        await restored.let_go()
        await restored.caught_up()
        await world.check(
            {
                "erasures all: scan": "after a restore all are erased again",
                "aggregates epoch: scan": "a new epoch is for all streams, on the rare day of a restore",
            }
        )


class Publisher:
    """Publishes nothing."""

    async def publish(self, documents: Sequence[Any]) -> None:
        pass


async def _done(work: Any) -> None:
    await work


async def _work() -> dict[str, Any]:
    return {"done": 1}


def _line() -> ProcessingLogged:
    about = {"trace_id": "a" * 32, "span_id": "b" * 16, "status": "Ok", "name": "show", "service": "intake"}
    return ProcessingLogged(**about, start_time=1, end_time=2, activity="show-person")
