"""The log itself, read from its beginning to its end, beside all groups: for a service that was restored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition

from services.chassis.kafka_connection import connection
from services.chassis.pipeline.model import Record
from services.chassis.preflight import NotReady
from services.chassis.settings import KafkaSettings

_WAIT_MS = 500
_MOST_EMPTY = 60  # looks in a row: half a minute
Take = Callable[[Sequence[Record]], Awaitable[object]]


class KafkaLog:
    """Reads topics without a group: nobody's offsets change."""

    def __init__(self, settings: KafkaSettings, batch: int) -> None:
        self._settings = settings
        self._batch = batch

    async def read(self, topics: Sequence[str], take: Take) -> int:
        """Give `take` all that these topics hold now, each partition in its order. How many records it was.

        Raises KafkaError, and what `take` raises.
        """
        consumer, count, empty = self._consumer(), 0, 0
        try:
            await consumer.start()
            places = await _assigned(consumer, topics)
            ends = await consumer.end_offsets(places) if places else {}
            while places := [place for place in places if await consumer.position(place) < ends[place]]:
                found = await consumer.getmany(*places, timeout_ms=_WAIT_MS, max_records=self._batch)
                empty = 0 if found else empty + 1
                if empty > _MOST_EMPTY:
                    raise NotReady("the broker holds less of a topic than it said", "see whether it lost its log")
                records = [
                    Record(r.topic, r.partition, r.offset, r.key, r.value, r.headers)
                    for batch in found.values()
                    for r in batch
                ]
                if records:
                    await take(records)
                count += len(records)
        finally:
            await consumer.stop()
        return count

    async def reaches_back(self, topics: Sequence[str], to: datetime) -> bool | None:
        """Whether these topics hold all since then; None where they hold nothing. Raises KafkaError."""
        consumer = self._consumer()
        try:
            await consumer.start()
            places = await _assigned(consumer, topics)
            ends = await consumer.end_offsets(places) if places else {}
            firsts = await consumer.beginning_offsets(places) if places else {}
            if not any(ends.values()):
                return None
            for place in places:
                if firsts[place] > 0 and not await _older(consumer, place, firsts[place], ends[place], to):
                    return False
            return True
        finally:
            await consumer.stop()

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **connection(self._settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._settings.fetch_wait_ms,
            request_timeout_ms=self._settings.request_timeout_ms,
        )


async def _assigned(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    known = await consumer.topics()
    places: list[TopicPartition] = []
    for topic in topics:
        if topic not in known:
            raise NotReady(
                f"the topic {topic} cannot be read, and this service was restored from a backup",
                "run `hulpketen topics apply`, which makes topics and gives rights",
            )
        await consumer._client.add_topic(topic)  # else it knows no partitions of what it is not subscribed to
        places += [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(places)
    if places:
        await consumer.seek_to_beginning(*places)
    return places


async def _older(consumer: AIOKafkaConsumer, place: TopicPartition, first: int, end: int, than: datetime) -> bool:
    """Whether the first record of a partition whose beginning is gone is older than this; False where none is left."""
    if first >= end:
        return False
    found = (await consumer.getmany(place, timeout_ms=_WAIT_MS * _MOST_EMPTY, max_records=1)).get(place)
    if not found:
        raise NotReady("the broker holds less of a topic than it said", "see whether it lost its log")
    record = found[0]
    return datetime.fromtimestamp(record.timestamp / 1000, UTC) <= than
