"""Kafka beside the records: topics, the identity of the cluster, and how far groups have come."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from services.chassis.kafka_connection import connection
from services.chassis.kafka_rights import Described, check_door, check_topics
from services.chassis.settings import KafkaSettings

ANSWER_S = 5.0


class KafkaAdmin:
    """Topics, the identity of the cluster, and how far groups have come."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaAdminClient | None = None
        self._connecting = asyncio.Lock()

    async def cluster_id(self) -> str:
        """The cluster's id: another one than before means another log. Raises KafkaError, TimeoutError."""
        try:
            async with asyncio.timeout(ANSWER_S):
                client = await self._connected()
                described = await client.describe_cluster()
        except BaseException:
            await self.close()
            raise
        return str(described["cluster_id"])

    async def make_topics(self, names: Iterable[str], partitions: int | None = None) -> None:
        """Make the topics that are not there; with the partitions of the settings if no other number is given."""
        client = await self._connected()
        missing = set(names) - set(await client.list_topics())
        for name in sorted(missing):
            topic = NewTopic(name, partitions or self._settings.partitions, 1)
            try:
                await client.create_topics([topic])
            except TopicAlreadyExistsError:
                continue

    async def ensure_topics(self, wanted: Mapping[str, Collection[int]], partitions: int | None = None) -> None:
        """Make these topics, or where others make them see that they are there and that we may do with each what is
        wanted (kafka_rights: READ, WRITE). Raises NotReady, KafkaError.

        `partitions`: to make them with, where that is not the number of the settings; others may have made more then.
        """
        if self._settings.make_topics:
            await self.make_topics(wanted, partitions)
            return
        client = await self._connected()
        answer = await client._send_request(Described(wanted))
        expected = None if partitions else self._settings.partitions
        check_topics(answer, wanted, expected, self._settings.sasl_username or "this service")

    async def check_door(self) -> None:
        """Raises NotReady where a broker answers and does not let us in."""
        await check_door(connection(self._settings))

    async def committed(self, group: str, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """The offset after the last one that the group committed; -1 where it never did."""
        client = await self._connected()
        wanted = [TopicPartition(topic, partition) for topic, partition in partitions]
        offsets = await client.list_consumer_group_offsets(group, partitions=wanted)
        # Of a group that has none yet, or whose coordinator has just come, Kafka may answer nothing at all.
        return dict.fromkeys(partitions, -1) | {(tp.topic, tp.partition): int(o.offset) for tp, o in offsets.items()}

    async def close(self) -> None:
        """Disconnect."""
        if self._client:
            client, self._client = self._client, None
            await client.close()

    async def _connected(self) -> AIOKafkaAdminClient:
        async with self._connecting:  # else many who ask at once leave all clients but one open
            if self._client is None:
                client = AIOKafkaAdminClient(
                    **connection(self._settings), request_timeout_ms=self._settings.request_timeout_ms
                )
                try:
                    await client.start()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client
