"""Intake on the real broker and database, in the test's own process, with an issuer and a gateway of the test."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from hulpketen_contracts import Envelope, Event, encode

from services.chassis.service import Service, now
from services.chassis.settings import KeysSettings
from services.intake.events import TOPICS
from services.intake.main import build
from services.intake.settings import Settings
from tests.conftest import Infrastructure
from tests.integration.groups import pass_over
from tests.unit.chassis.issuer import ISSUER, TestIssuer

SCOPES = {
    "sender": "signals:write signals:read",
    "professional": "persons:read persons:write cases:read referrals:write choices:confirm",
    "partner": "referrals:read referrals:answer persons:read",
}
BSNS = ("999991000", "999991139", "999991279", "999991425")


def settings(infrastructure: Infrastructure, folder: Path, **own: Any) -> Settings:
    """Settings of a service with a database of its own; `keys` where they are not in a file."""
    keys: KeysSettings | None = own.pop("keys", None)
    return Settings.model_validate(
        {
            "service": {},
            "http": {},
            "kafka": {
                "bootstrap": infrastructure.kafka,
                "session_timeout_ms": 1000,
                "heartbeat_interval_ms": 200,
                "idempotent": False,
                "incarnation_check_s": 0.5,
            },
            "mongo": {"uri": infrastructure.mongo, "database": f"intake_{uuid.uuid4().hex[:12]}"},
            "auth": {"issuer": ISSUER, "audience": "intake"},
            "telemetry": {},
            "keys": keys or {"file": folder / "keys.json"},
            "log": {},
            "pipeline": {},
            "intake": {"delivery_batch": 20, "answer_step_ms": 0, **own},
        }
    )


class Mailbox:
    """A gateway that keeps what it was given; `away` refuses."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.away = False

    def take(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        if self.away:
            return httpx.Response(503)
        self.messages.append(json.loads(request.content))
        return httpx.Response(202)

    def code(self) -> str:
        """The code in the last message."""
        return self.messages[-1]["text"][-6:]


class Intake:
    """A running intake and its surroundings."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        service: Service,
        issuer: TestIssuer,
        mailbox: Mailbox,
        producer: AIOKafkaProducer,
    ) -> None:
        self.client = client
        self.service = service
        self.mailbox = mailbox
        self._issuer = issuer
        self._producer = producer
        self._seqs: dict[str, int] = {}

    def token(self, role: str, organisation: str, *municipalities: str) -> dict[str, str]:
        """Headers of a request in this role."""
        at = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": ["intake"],
            "iat": at,
            "exp": at + 600,
            "sub": "somebody",
            "organisation": organisation,
            "municipalities": list(municipalities or ("0106",)),
            "scope": SCOPES[role],
        }
        return {"Authorization": f"Bearer {self._issuer.token(claims)}"}

    async def publish(self, event: Event, stream: str) -> None:
        """Have another service say this, as the next event of a stream."""
        seq = self._seqs[stream] = self._seqs.get(stream, 0) + 1
        envelope = Envelope(
            id=str(uuid.uuid4()),
            source="urn:nld:oin:00000099000000000001:systeem:hulpketen-matching",
            type=event.TYPE,
            time=now(),
            subject=None,
            stream=stream,
            streamepoch=1,
            streamseq=seq,
        )
        message = encode(event, envelope)
        await self._producer.send_and_wait(message.topic, message.value, key=message.key, headers=message.headers)

    async def until(
        self, aggregate: str, holds: Callable[[Mapping[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """The state of an aggregate, as soon as it is so."""
        async with asyncio.timeout(20):
            while True:
                found = await self.service.database["aggregates"].find_one({"_id": aggregate})
                if found and found["state"] and holds(found["state"]):
                    return dict(found["state"])
                await asyncio.sleep(0.02)

    async def state(self, aggregate: str) -> dict[str, Any]:
        """The state of an aggregate now."""
        found = await self.service.database["aggregates"].find_one({"_id": aggregate})
        assert found
        return dict(found["state"])


@asynccontextmanager
async def running(infrastructure: Infrastructure, folder: Path, **own: Any) -> AsyncIterator[Intake]:
    """Intake, ready, with nothing in it."""
    issuer, mailbox = TestIssuer(), Mailbox()

    def outside(request: httpx.Request) -> httpx.Response:
        return mailbox.take(request) if request.url.host == "gateway.test" else issuer.handle(request)

    own = {"messages_url": "http://gateway.test/mailbox"} | own
    await pass_over(infrastructure, "intake", TOPICS)
    app = build(settings(infrastructure, folder, **own), httpx.MockTransport(outside))
    service: Service = app.state.runtime
    producer = AIOKafkaProducer(bootstrap_servers=infrastructure.kafka, enable_idempotence=False)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://intake") as client,
    ):
        intake = Intake(client, service, issuer, mailbox, producer)
        async with asyncio.timeout(30):
            while not all(service.checks().values()):
                await asyncio.sleep(0.05)
        await producer.start()
        try:
            yield intake
        finally:
            await producer.stop()


async def published(
    infrastructure: Infrastructure, topic: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The data of the first event on a topic that is so."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=infrastructure.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                data = json.loads(record.value)
                if wanted(data):
                    return dict(data) | {"type": dict(record.headers)["ce_type"].decode()}
        raise AssertionError
    finally:
        await consumer.stop()
