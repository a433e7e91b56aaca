"""Groups of consumers on the broker that tests share."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer

from tests.conftest import Infrastructure


async def pass_over(infrastructure: Infrastructure, group: str, topics: Sequence[str]) -> None:
    """Let a group begin after what other tests left in these topics; nobody may be in the group now."""
    consumer = AIOKafkaConsumer(
        *topics,
        **infrastructure.client,
        group_id=group,
        enable_auto_commit=False,
        session_timeout_ms=infrastructure.settings["session_timeout_ms"],
        heartbeat_interval_ms=infrastructure.settings["heartbeat_interval_ms"],
    )
    await consumer.start()
    try:
        while not (places := consumer.assignment()):
            await consumer.getmany(timeout_ms=20)
        await consumer.commit(await consumer.end_offsets(places))
    finally:
        await consumer.stop()
