"""Notifications on the real broker and database, served over a real port, with an issuer and neighbours of the test."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer
from hulpketen_contracts import (
    Decoded,
    OrganisationChanged,
    ProcessingLogged,
    ReferralAccepted,
    decode,
    from_structured,
)
from hulpketen_contracts.values import OrganisationKind

from services.chassis.service import Service
from services.chassis.web import App
from services.notifications.events import TOPICS
from services.notifications.main import build
from services.notifications.settings import Settings
from tests.conftest import Infrastructure
from tests.integration.groups import pass_over
from tests.integration.surroundings import Neighbour, ready, sections
from tests.unit.chassis.issuer import CLIENT, ISSUER, SECRET, TestIssuer
from tests.unit.notifications.events import PERSON, case, proposed, referral

SCOPES = {
    "partner": "referrals:read referrals:answer persons:read feed:read directory:read",
    "coordinator": "persons:read persons:write cases:read referrals:read referrals:write feed:read directory:read"
    " directory:write",
    "sender": "signals:write signals:read",
}
KINDS: dict[str, OrganisationKind] = {
    "gemeente-assen": "municipality",
    "gemeente-elders": "municipality",
    "maatjes": "volunteers",
    "fonds": "fund",
    "wijkteam": "neighbourhood-team",
}


def settings(infrastructure: Infrastructure, folder: Path, port: int, database: str, **own: Any) -> Settings:
    """Settings of a service."""
    given = sections(infrastructure, folder, "notifications", database)
    given |= {"http": {"port": port, "shutdown_s": 1}, "pipeline": {"lease_s": 1.5}}
    given["notifications"] = {
        "matching_url": "http://matching.test",
        "intake_url": "http://intake.test",
        "audit_url": "http://audit.test",
        "public_url": f"http://127.0.0.1:{port}",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "heartbeat_s": 0.5,
        **own,
    }
    return Settings.model_validate(given)


class Frame(NamedTuple):
    """A server-sent event; the number alone where it holds no data."""

    n: int
    event: Decoded | None


class Notifications:
    """A running service and its surroundings."""

    def __init__(self, app: App, url: str, issuer: TestIssuer, matching: Neighbour) -> None:
        self.app = app
        self.url = url
        self.service: Service = app.state.runtime
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)
        self.issuer = issuer
        self.message, self.publish = matching.message, matching.publish

    def claims(self, role: str, organisation: str, seconds: float = 600) -> dict[str, Any]:
        """What a token of this role says."""
        at = int(time.time())
        return {
            "iss": ISSUER,
            "aud": ["notifications", "matching"],
            "iat": at - 60,
            "exp": at + seconds,
            "sub": "somebody",
            "organisation": organisation,
            "municipalities": ["0106"],
            "scope": SCOPES[role],
        }

    def token(self, role: str, organisation: str, seconds: float = 600) -> dict[str, str]:
        """Headers of a request in this role."""
        return {"Authorization": f"Bearer {self.issuer.token(self.claims(role, organisation, seconds))}"}

    async def organisation(self, name: str, kafka: bool = False) -> None:
        """Tell of an organisation, and wait until it is known."""
        code = {"gemeente-assen": "0106", "gemeente-elders": "1680"}.get(name, "0106")
        event = OrganisationChanged(
            organisation=name, name=f"{name} (verzonnen)", kind=KINDS[name], municipalities=[code], kafka=kafka
        )
        await self.publish(event, f"organisation-{name}")
        await self.until({"_id": f"organisation-{name}", "state.kafka": kafka})

    async def until(self, query: dict[str, Any], collection: str = "aggregates") -> dict[str, Any]:
        """The first document that is so, as soon as there is one."""
        async with asyncio.timeout(30):
            while (found := await self.service.database[collection].find_one(query)) is None:
                await asyncio.sleep(0.02)
        return dict(found)

    async def last(self, feed: str, n: int) -> None:
        """Wait until a feed has its line n."""
        await self.until({"_id": {"org": feed, "n": n}}, "feed")

    @asynccontextmanager
    async def stream(self, headers: dict[str, str], query: str = "") -> AsyncIterator[AsyncIterator[Frame]]:
        """The frames of an open stream."""
        async with self.http.stream("GET", f"/v1/events{query}", headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                await answer.aread()
            assert answer.status_code == httpx.codes.OK, answer.text
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _frames(answer)


async def _frames(answer: httpx.Response) -> AsyncIterator[Frame]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "id" in fields:
            yield Frame(int(fields["id"]), from_structured(json.loads(fields["data"])) if "data" in fields else None)
            fields = {}


async def take(frames: AsyncIterator[Frame], count: int) -> list[Frame]:
    """The next frames with an event."""
    found: list[Frame] = []
    async with asyncio.timeout(20):
        async for frame in frames:
            if frame.event is not None:
                found.append(frame)
            if len(found) == count:
                return found
    raise AssertionError("the stream ended")


async def looks(infrastructure: Infrastructure) -> AsyncGenerator[ProcessingLogged]:
    """Lines of the processing log, as they come out."""
    consumer = AIOKafkaConsumer("processing-log", **infrastructure.client, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                data = decode(record.headers, record.value).data
                if isinstance(data, ProcessingLogged):
                    yield data
    finally:
        await consumer.stop()


FILE = f"file-{PERSON}"


async def one_referral(service: Notifications) -> None:
    """A case, its proposals, a referral that is accepted."""
    await service.publish(case(), FILE)
    await service.publish(proposed(), FILE)
    await service.publish(referral(), FILE)
    await service.publish(referral(ReferralAccepted, status="accepted", version=2), FILE)


Outside = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def running(
    infrastructure: Infrastructure,
    folder: Path,
    *,
    database: str = "",
    pid: int = 1,
    outside: Outside = lambda _: httpx.Response(404),
    **own: Any,
) -> AsyncIterator[Notifications]:
    """The service, ready, with nothing in it unless `database` is an earlier one's. `outside`: its neighbours.

    `pid`: as which process it takes leases.
    """
    issuer = TestIssuer()

    def handle(request: httpx.Request) -> httpx.Response:
        return issuer.handle(request) if request.url.host == "issuer.test" else outside(request)

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    if not database:
        database = f"notifications_{uuid.uuid4().hex[:12]}"
        await pass_over(infrastructure, "notifications", TOPICS)
    with patch("os.getpid", return_value=pid):
        app = build(settings(infrastructure, folder, port, database, **own), httpx.MockTransport(handle))
    config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        async with Neighbour.speaking(infrastructure, "matching") as matching:
            notifications = Notifications(app, f"http://127.0.0.1:{port}", issuer, matching)
            async with notifications.http:
                await ready(notifications.service)
                yield notifications
    finally:
        app.state.stopping.set()
        server.should_exit = True
        await serving
        assert not server.lifespan.shutdown_failed
