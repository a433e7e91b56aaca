"""Reads every topic of the broker from its beginning to its end, with a consumer of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from hulpketen_contracts import Decoded, DecodeError, decode

FEEDS = "partners."


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


async def read_all(bootstrap: str) -> list[Record]:
    """Every record that the broker has now, in the order of each partition. Raises: KafkaError."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, max_poll_records=2000
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, partition)
            for topic in sorted(await consumer.topics())
            for partition in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [Record(r.topic, r.key, r.headers, r.value) for r in records]
        return found
    finally:
        await consumer.stop()


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
