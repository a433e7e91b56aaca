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
from aiokafka import AIOKafkaConsumer

from services.chassis.service import Service
from services.chassis.settings import KeysSettings
from services.intake.events import TOPICS
from services.intake.main import build
from services.intake.settings import Settings
from tests.conftest import Infrastructure
from tests.integration.groups import pass_over
from tests.integration.surroundings import Neighbour, ready, sections
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
    given = sections(infrastructure, folder, "intake", f"intake_{uuid.uuid4().hex[:12]}")
    given |= {"intake": {"delivery_batch": 20, "answer_step_ms": 0, **own}}
    return Settings.model_validate(given | {"keys": keys} if keys else given)


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
        neighbour: Neighbour,
    ) -> None:
        self.client = client
        self.service = service
        self.mailbox = mailbox
        self.publish = neighbour.publish
        self._issuer = issuer

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
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://intake") as client,
        Neighbour.speaking(infrastructure, "matching") as matching,
    ):
        await ready(service)
        yield Intake(client, service, issuer, mailbox, matching)


async def published(
    infrastructure: Infrastructure, topic: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The data of the first event on a topic that is so."""
    consumer = AIOKafkaConsumer(topic, **infrastructure.client, auto_offset_reset="earliest")
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
