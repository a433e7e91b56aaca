"""What stands in the database is told by the holder of the lease alone; the time to a partner begins at the origin."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import REGISTRY
from pydantic import SecretStr

from services.chassis.keys import FileKeyProvider
from services.chassis.measuring import Gauges, show_lag
from services.chassis.mongo.database import Database, connect
from services.chassis.mongo.dead_letters import DeadLetters
from services.chassis.mongo.store import MongoStore
from services.chassis.pipeline.model import DeadLetter, Record
from services.chassis.settings import MongoSettings
from tests.conftest import Infrastructure
from tests.integration.notifications import FILE, running
from tests.unit.notifications.events import referral

NAMES = ("outbox_waiting", "outbox_oldest_seconds", "parked", "dead_letters_waiting", "kept_batches")


class ALease:
    """Held or not, as the test says."""

    def __init__(self) -> None:
        self.mine = True

    async def held(self) -> bool:
        return self.mine


def told() -> dict[str, float]:
    labels = {name: {"outbox": "events"} if name.startswith("outbox") else {} for name in NAMES}
    return {name: round(REGISTRY.get_sample_value(f"hulpketen_{name}", labels[name]) or 0) for name in NAMES}


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    name = f"gauges_{uuid.uuid4().hex[:12]}"
    client = connect(MongoSettings(uri=SecretStr(stack_infra.mongo), database=name))
    yield client[name]
    client.close()


async def test_what_waits_is_told_by_the_holder_of_the_lease(database: Database, tmp_path: Path) -> None:
    now, lease = datetime.now(UTC), ALease()
    letters = DeadLetters(database, FileKeyProvider(tmp_path / "keys.json"))
    store = MongoStore(database, letters)
    gauges = Gauges(database, {"events": store}, letters, lease, lambda: None, lambda: now)  # type: ignore[arg-type]
    await database["aggregates"].insert_many(
        [{"_id": str(age), "due": now - timedelta(seconds=age)} for age in (5, 90)] + [{"_id": "published"}]
    )
    await database["parked"].insert_one({"_id": "one"})
    broken = [Record("cases", 0, n, b"", b"", []) for n in range(3)]
    await letters.bury("g", "i", [DeadLetter(record, None, "not-an-event", "") for record in broken])
    (first, *_) = await letters.page(1, None)
    await letters.skip(first["_id"], "sent by a test")

    await gauges.look()
    waiting = {"outbox_waiting": 2, "outbox_oldest_seconds": 90, "parked": 1, "dead_letters_waiting": 2}
    assert told() == waiting | {"kept_batches": 0}
    total = REGISTRY.get_sample_value("hulpketen_database_disk_bytes", {"part": "total"}) or 0
    assert total > (REGISTRY.get_sample_value("hulpketen_database_disk_bytes", {"part": "used"}) or 0) > 0
    assert (REGISTRY.get_sample_value("hulpketen_clock_apart_seconds") or 0) < 60

    lease.mine = False
    await gauges.look()
    assert told() == dict.fromkeys(NAMES, 0)


def within(way: str, seconds: str) -> float:
    name = "hulpketen_notifications_to_partner_seconds_bucket"
    return REGISTRY.get_sample_value(name, {"way": way, "le": seconds}) or 0


async def test_the_time_to_a_partner_begins_where_it_began_and_leaves_out_what_was_there_before(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with running(stack_infra, tmp_path) as service:
        await service.organisation("fonds")  # other tests look at what comes on the topic of another
        fast, slow, topic = within("feed", "60.0"), within("feed", "+Inf"), within("kafka", "+Inf")
        origin = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
        await service.publish(referral(to_organisation="fonds"), FILE, origin=origin)
        await service.last("fonds", 1)
        line = await service.service.database["feed"].find_one({"_id.org": "fonds"})
        assert line
        assert datetime.fromisoformat(line["headers"]["ce_origintime"].decode()) == origin
        assert within("feed", "+Inf") > slow
        assert within("feed", "60.0") == fast

        await service.organisation("fonds", kafka=True)
        await service.until({"_id": "fonds", "n": 1}, "cursors")
        assert within("kafka", "+Inf") == topic


async def test_the_lag_of_a_topic_is_what_its_reader_has_yet_to_take(stack_infra: Infrastructure) -> None:
    topic = f"lag-{uuid.uuid4().hex[:8]}"
    producer = AIOKafkaProducer(**stack_infra.client)
    await producer.start()
    consumer = AIOKafkaConsumer(**stack_infra.client, auto_offset_reset="earliest")
    await consumer.start()
    admin = AIOKafkaAdminClient(**stack_infra.client)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
        for n in range(5):
            await producer.send_and_wait(topic, str(n).encode())
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(30):
            taken = 0
            while taken < 2:
                taken += sum(map(len, (await consumer.getmany(timeout_ms=200, max_records=2 - taken)).values()))
            while lag_of(topic) != 3:
                await show_lag(consumer)
                await asyncio.sleep(0.05)
        await show_lag(None)
        assert lag_of(topic) is None
    finally:
        for client in (consumer, producer):
            await client.stop()
        await admin.close()


def lag_of(topic: str) -> float | None:
    return REGISTRY.get_sample_value("hulpketen_consumer_lag", {"topic": topic})
