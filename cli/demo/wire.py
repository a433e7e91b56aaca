"""Reads every topic of the broker from its beginning to its end, with a consumer of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from hulpketen_contracts import Decoded, DecodeError, decode

FEEDS = "partners."
Ends = Mapping[TopicPartition, int]
_NOTHING: Ends = {}


class Record(NamedTuple):
    """A record as it lies on a topic."""

    topic: str
    key: bytes | None
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None

    @property
    def id(self) -> str:
        """The event's id; on the topics of partners with the topic, since an event may go to several of them."""
        found = next((value for name, value in self.headers if name == "ce_id"), b"")
        return f"{self.topic} {found.decode(errors='replace')}"

    @property
    def bytes(self) -> bytes:
        """All of it, to be searched."""
        headers = b"\n".join(name.encode() + b": " + (value or b"") for name, value in self.headers)
        return b"\n".join((self.topic.encode(), self.key or b"", headers, self.value or b""))


@asynccontextmanager
async def _reading(door: Mapping[str, Any]) -> AsyncIterator[tuple[AIOKafkaConsumer, Ends]]:
    consumer = AIOKafkaConsumer(
        **door, auto_offset_reset="earliest", enable_auto_commit=False, max_poll_records=2000, metadata_max_age_ms=2000
    )
    try:
        await consumer.start()
        partitions = await _partitions(door, sorted(await consumer.topics()))
        yield consumer, await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()


async def _partitions(door: Mapping[str, Any], topics: list[str]) -> list[TopicPartition]:
    """All of these topics: a consumer knows only those of what it follows."""
    admin = AIOKafkaAdminClient(**door)
    try:
        await admin.start()
        described = await admin.describe_topics(topics) if topics else []
        return [TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"]]
    finally:
        await admin.close()


async def ends(door: Mapping[str, Any]) -> Ends:
    """Where each partition ends now; `door`: what aiokafka's clients need to connect. Raises: KafkaError."""
    async with _reading(door) as (_, found):
        return found


async def read_all(door: Mapping[str, Any], after: Ends = _NOTHING) -> list[Record]:
    """Every record that the broker has now behind these places, in the order of each partition. Raises: KafkaError."""
    async with _reading(door) as (consumer, ends):
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        for partition in ends.keys() & after.keys():
            consumer.seek(partition, after[partition])
        found: list[Record] = []
        while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [Record(r.topic, r.key, r.headers, r.value) for r in records]
        return found


def distinct(records: Iterable[Record]) -> dict[str, Record]:
    """The first record of each event."""
    found: dict[str, Record] = {}
    for record in records:
        found.setdefault(record.id, record)
    return found


def decoded(records: Iterable[Record]) -> Iterator[Decoded]:
    """The events that these records are; what is none has gone to the dead letters of its readers."""
    for record in records:
        try:
            yield decode(record.headers, record.value)
        except DecodeError:
            continue
