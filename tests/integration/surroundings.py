"""What a service has around it in the tests: settings of the broker and database, and a neighbour that says events."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from hulpketen_contracts import Envelope, Event, Message, encode

from services.chassis.service import Service, now
from tests.conftest import Infrastructure
from tests.unit.chassis.issuer import ISSUER


def sections(infrastructure: Infrastructure, folder: Path, name: str, database: str) -> dict[str, Any]:
    """The chassis' sections of the settings of the service with this name, by section; keys are below `folder`."""
    return {
        "service": {},
        "http": {},
        "kafka": infrastructure.settings,
        "mongo": {"uri": infrastructure.mongo, "database": database},
        "auth": {"issuer": ISSUER, "audience": name},
        "telemetry": {},
        "keys": {"file": folder / "keys.json"},
        "log": {},
        "pipeline": {},
    }


async def ready(service: Service) -> None:
    """Wait until it does its work."""
    async with asyncio.timeout(30):
        while not all(service.checks().values()):
            await asyncio.sleep(0.05)


class Neighbour:
    """Another service of the chain, which says events."""

    def __init__(self, producer: AIOKafkaProducer, name: str) -> None:
        self._producer = producer
        self._source = f"urn:nld:oin:00000099000000000001:systeem:hulpketen-{name}"
        self._seqs: dict[str, int] = {}

    @classmethod
    @asynccontextmanager
    async def speaking(cls, infrastructure: Infrastructure, name: str) -> AsyncIterator[Self]:
        """The service with this name, connected."""
        producer = AIOKafkaProducer(**infrastructure.client)
        await producer.start()
        try:
            yield cls(producer, name)
        finally:
            await producer.stop()

    def message(self, event: Event, stream: str, origin: datetime | None = None) -> Message:
        """This event as the next one of a stream."""
        seq = self._seqs[stream] = self._seqs.get(stream, 0) + 1
        envelope = Envelope(
            id=str(uuid.uuid4()),
            source=self._source,
            type=event.TYPE,
            time=now(),
            stream=stream,
            streamepoch=1,
            streamseq=seq,
            origin=origin,
        )
        return encode(event, envelope)

    async def publish(self, event: Event, stream: str, origin: datetime | None = None) -> None:
        """Say it; `origin`: when what led to it came into the chain."""
        message = self.message(event, stream, origin)
        await self._producer.send_and_wait(message.topic, message.value, key=message.key, headers=message.headers)
