"""Matching on the real broker and database, in the test's own process, with an issuer of the test."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer
from hulpketen_contracts import Decoded, decode
from pydantic import SecretStr

from services.chassis.service import Service
from services.matching.main import build
from services.matching.settings import Settings
from tests.conftest import Infrastructure
from tests.integration.surroundings import ready, sections
from tests.unit.chassis.issuer import ISSUER, TestIssuer

ASSEN, ELSEWHERE = "0106", "9901"
SCOPES = {
    "professional": "cases:read cases:write referrals:read referrals:write directory:read",
    "coordinator": "cases:read cases:write referrals:read referrals:write directory:read directory:write",
    "partner": "referrals:read referrals:answer directory:read",
    "sender": "signals:write signals:read",
}
MUNICIPALITY = {"name": "Gemeente Assen (voorbeeld)", "kind": "municipality", "municipalities": [ASSEN]}
HELPER = {"name": "Maatjes Voorbeeld", "kind": "volunteers", "municipalities": [ASSEN]}
HELP = {
    "organisation": "maatjes-voorbeeld",
    "name": "Een maatje voor uw administratie",
    "status": "active",
    "municipalities": [ASSEN],
    "kind": "volunteers",
    "exits": ["lokale-vrijwilliger-of-professional"],
    "capacity": "capacity",
}


def settings(infrastructure: Infrastructure, folder: Path, database: str, **own: Any) -> Settings:
    """Settings of a service."""
    own = {"directory_refresh_s": 0.05} | own
    return Settings.model_validate(sections(infrastructure, folder, "matching", database) | {"matching": own})


class Matching:
    """A running matching, and who speaks with it."""

    def __init__(self, client: httpx.AsyncClient, service: Service, issuer: TestIssuer) -> None:
        self.client = client
        self.service = service
        self._issuer = issuer

    def token(self, role: str, organisation: str, *municipalities: str) -> dict[str, str]:
        """Headers of a request in this role."""
        at = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": ["matching"],
            "iat": at,
            "exp": at + 600,
            "sub": "somebody",
            "organisation": organisation,
            "municipalities": list(municipalities or (ASSEN,)),
            "scope": SCOPES[role],
        }
        return {"Authorization": f"Bearer {self._issuer.token(claims)}"}

    async def ask(self, who: dict[str, str], method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """A request."""
        headers = who | ({"Idempotency-Key": key} if key else {})
        return await self.client.request(method, path, json=body, headers=headers)

    async def fill_directory(self) -> None:
        """A municipality, a helper and its service `maatjes`."""
        coordinator = self.token("coordinator", "gemeente-assen")
        for path, body in (
            ("/v1/organisations/gemeente-assen", MUNICIPALITY),
            ("/v1/organisations/maatjes-voorbeeld", HELPER),
            ("/v1/services/maatjes", HELP),
        ):
            response = await self.ask(coordinator, "PUT", path, body)
            assert response.status_code == 200, response.text

    async def file(self, person: str, holds: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        """The state of a person's file, as soon as it is so."""
        async with asyncio.timeout(20):
            while True:
                found = await self.service.database["aggregates"].find_one({"_id": f"file-{person}"})
                if found and holds(found["state"] or {}):
                    return dict(found["state"] or {})
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    infrastructure: Infrastructure, folder: Path, database: str = "", *, uri: str = "", **own: Any
) -> AsyncIterator[Matching]:
    """Matching, ready; with nothing in it where no database is named. `uri`: of another database server."""
    issuer = TestIssuer()
    name = database or f"matching_{uuid.uuid4().hex[:12]}"
    chosen = settings(infrastructure, folder, name, **own)
    if uri:
        chosen = chosen.model_copy(update={"mongo": chosen.mongo.model_copy(update={"uri": SecretStr(uri)})})
    app = build(chosen, issuer.transport)
    service: Service = app.state.runtime
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://matching") as client,
    ):
        await ready(service)
        yield Matching(client, service, issuer)


async def read(
    infrastructure: Infrastructure, topic: str, wanted: Callable[[Decoded], bool], until: int
) -> list[Decoded]:
    """The first `until` events on a topic that are so, each once, in the order of the topic."""
    consumer = AIOKafkaConsumer(topic, **infrastructure.client, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, Decoded] = {}
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                event = decode(record.headers, record.value)
                if wanted(event):
                    found.setdefault(event.envelope.id, event)
                if len(found) == until:
                    return list(found.values())
    finally:
        await consumer.stop()
    raise AssertionError(json.dumps([event.envelope.type for event in found.values()]))
