"""The way out over Kafka: an organisation's feed on its own topic, in order, also after the broker lost its log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from hulpketen_contracts import HelpStarted, ProcessingLogged, ReferralAccepted, decode

from tests.conftest import Infrastructure
from tests.integration.notifications import FILE, Notifications, looks, running
from tests.unit.notifications.events import PERSON, REFERRAL, referral


async def delivered(infrastructure: Infrastructure, organisation: str, count: int) -> list[int]:
    """The feed's numbers in the first records of an organisation's topic."""
    topic = f"partners.{organisation}"
    found: list[int] = []
    async with asyncio.timeout(30):
        while True:
            consumer = AIOKafkaConsumer(
                topic, **infrastructure.client, auto_offset_reset="earliest", metadata_max_age_ms=500
            )
            try:
                await consumer.start()
                async for record in consumer:
                    envelope = decode(record.headers, record.value).envelope
                    assert (record.key, envelope.subject) == (REFERRAL.encode(), REFERRAL)
                    assert PERSON not in str(record)
                    assert record.partition == 0
                    found.append(envelope.sequence or 0)
                    if len(found) == count:
                        return found
            finally:
                await consumer.stop()


async def lines_up_to(infrastructure: Infrastructure, organisation: str, n: int) -> AsyncIterator[ProcessingLogged]:
    """What the processing log says was delivered to an organisation, until it says so of line n."""
    async with aclosing(looks(infrastructure)) as lines:
        async for line in lines:
            if (line.name, line.organisation) == ("deliver-lines", organisation):
                yield line
                if line.feed_last == n:
                    return


async def until_delivered(service: Notifications, organisation: str, n: int) -> str:
    """The broker's id, once all up to n was delivered to it."""
    incarnation = service.service.incarnation.known()
    await service.until({"_id": organisation, "n": n, "incarnation": incarnation}, "cursors")
    return incarnation


@pytest.mark.embedded("a broker that comes back without its log")
async def test_only_who_chose_kafka_gets_a_topic_and_a_broker_without_its_log_gets_all_again(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with running(stack_infra, tmp_path) as service:
        await service.organisation("wijkteam")
        await service.publish(referral(), FILE)
        await service.last("maatjes", 1)
        await service.organisation("maatjes", kafka=True)
        await service.publish(referral(ReferralAccepted, status="accepted", version=2), FILE)
        assert await delivered(stack_infra, "maatjes", 2) == [1, 2]
        before = await until_delivered(service, "maatjes", 2)
        assert await service.service.database["cursors"].count_documents({}) == 1
        numbers = [(each.feed_first, each.feed_last) async for each in lines_up_to(stack_infra, "maatjes", 2)]
        assert sorted({n for first, last in numbers for n in range(first or 0, (last or 0) + 1)}) == [1, 2]

        stack_infra.kill("broker")
        async with asyncio.timeout(30):
            while service.service.incarnation.known() == before or not all(service.service.checks().values()):
                await asyncio.sleep(0.05)
        assert await delivered(stack_infra, "maatjes", 2) == [1, 2]
        await service.publish(referral(HelpStarted, status="started", version=3), FILE)
        assert await delivered(stack_infra, "maatjes", 3) == [1, 2, 3]


async def test_of_two_processes_one_delivers_and_the_other_takes_over(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with running(stack_infra, tmp_path) as one:
        database = one.service.database.name
        async with running(stack_infra, tmp_path, database=database, pid=2) as other:
            await one.organisation("wijkteam", kafka=True)
            await one.publish(referral(), FILE)
            await until_delivered(other, "wijkteam", 1)
            first = await one.until({"_id": "delivery"}, "leases")
            if first["holder"].endswith("-1"):
                await one.service.stop()
                remaining = other
            else:
                await other.service.stop()
                remaining = one
            await one.publish(referral(ReferralAccepted, status="accepted", version=2), FILE)
            await until_delivered(remaining, "wijkteam", 2)
            assert await delivered(stack_infra, "wijkteam", 2) == [1, 2]
