"""Ties a Kafka client to one incarnation of the broker: aiokafka itself connects again to whatever answers there."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any
from weakref import WeakSet

from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from services.chassis.logs import get_logger

log = get_logger(__name__)


def tie(client: Any, cluster: str) -> None:
    """Let this client of aiokafka (pinned: this is its inside) use no connection to a broker of another cluster id."""
    connect = client._get_conn
    right: WeakSet[Any] = WeakSet()
    locks: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def tied(node_id: Any, **group: Any) -> Any:
        # One at a time for each node, so that nobody is given a connection before it was looked at.
        async with locks[node_id, *group.values()]:
            connection = await connect(node_id, **group)
            if connection is None or connection in right:
                return connection
            if await _cluster_of(connection) == cluster:
                right.add(connection)
                return connection
            connection.close()
            log.info("broker_is_another")
            return None

    client._get_conn = tied


async def _cluster_of(connection: Any) -> str:
    try:
        return str((await connection.send(MetadataRequest([]))).cluster_id)
    except (KafkaError, TimeoutError):
        return ""
