"""Groups of consumers on the broker that tests share."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

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
        # Who left without a word is in the group until its session ends, and has some of them.
        while not _has_all(consumer, topics):
            await consumer.getmany(timeout_ms=20)
        for place, end in (await consumer.end_offsets(consumer.assignment())).items():
            consumer.seek(place, end)
        # The embedded broker takes the second record of the last batch for the end.
        while not all([await _at_the_end(consumer, place) for place in consumer.assignment()]):
            await consumer.getmany(timeout_ms=20)
        ends = {place: await consumer.position(place) for place in consumer.assignment()}
        await consumer.commit(ends)
        assert {place: await consumer.committed(place) for place in ends} == ends
    finally:
        await consumer.stop()


async def _at_the_end(consumer: AIOKafkaConsumer, place: TopicPartition) -> bool:
    end = consumer.highwater(place)
    return end is not None and await consumer.position(place) >= end


def _has_all(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> bool:
    partitions = {topic: consumer.partitions_for_topic(topic) for topic in topics}
    known = {TopicPartition(topic, each) for topic, found in partitions.items() for each in found or ()}
    return all(partitions.values()) and bool(consumer.assignment() == known)
