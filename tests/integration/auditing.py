"""An auditor: a client of the audit's routes with a token, and what its requests left in both logs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from hulpketen_contracts import AccessLogged, Event, ProcessingLogged

from services.audit import pages
from services.audit.access_store import AccessStore
from services.audit.api import Desk, routes
from services.audit.api_access import routes as access_routes
from services.audit.api_log import ProcessingLogReader
from services.audit.api_log import routes as log_routes
from services.audit.api_residents import routes as resident_routes
from services.audit.contents import Contents
from services.audit.domain.register import Register
from services.audit.looking import UnusualAccess
from services.audit.organisations import Organisations
from services.audit.resident_store import ResidentStore
from services.audit.residents import Doors, OwnData
from services.audit.settings import UnusualSettings
from services.audit.store import TrailStore
from services.chassis.keys import Sealer
from services.chassis.login import Client
from services.chassis.mongo.sessions import MongoSessions
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.processing_log import Looks
from services.chassis.sessions import Sessions, session_routes
from services.chassis.settings import AuthSettings
from services.chassis.web import App, create_app
from tests.integration.audit import Database, subject_keys
from tests.unit.chassis.issuer import CLIENT, ISSUER, SECRET, TestIssuer, good_claims
from tests.unit.chassis.unconnected import unconnected

MOST = 8
REGISTER = Register.read("https://example.test/")


class NoRuntime:
    """Nothing runs beside these requests."""

    operations: Any = None
    answers: Any = None
    caught_up = True

    def digest_key(self) -> bytes:
        return bytes(32)

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def checks(self) -> dict[str, bool]:
        return {}


class Auditor:
    """A client with a token, and the lines that its requests left in the processing log."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.lines: list[ProcessingLogged] = []
        self.accesses: list[AccessLogged] = []
        self.log_answers = True
        self.app: App
        self.store: TrailStore

    async def record(self, events: Sequence[Event]) -> None:
        if not self.log_answers:
            raise StoreUnavailable
        self.lines += [event for event in events if isinstance(event, ProcessingLogged)]
        self.accesses += [event for event in events if isinstance(event, AccessLogged)]

    async def get(self, path: str, **query: str | int) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def found(self, **query: str | int) -> list[int]:
        """The numbers of the entries that a search finds."""
        return [entry["index"] for entry in (await self.get("/v1/entries", **query))["items"]]


def token(issuer: TestIssuer, scope: str, **more: Any) -> str:
    now = int(time.time())
    about = {"aud": ["audit"], "iat": now, "exp": now + 300, "organisation": "rekenkamer", "scope": scope}
    return issuer.token(good_claims(**about | more))


@asynccontextmanager
async def an_auditor(
    database: Database, issuer: TestIssuer, folder: Path, unusual: UnusualSettings | None = None
) -> AsyncIterator[Auditor]:
    """An auditor of the trail in this database."""
    store = TrailStore(database)
    settings = unconnected(folder, auth=AuthSettings(issuer=ISSUER, audience="audit"))
    async with httpx.AsyncClient(base_url="http://audit.test") as client:
        one = Auditor(client)
        looks = Looks("audit", one.record, lambda: bytes(32), lambda: datetime.now(UTC))
        contents = Contents(subject_keys(database))
        desk = Desk(store, contents, looks, MOST)
        organisations = Organisations(store, contents)
        access = UnusualAccess(AccessStore(database), contents, organisations, unusual or UnusualSettings())
        log = ProcessingLogReader(store, contents, REGISTER, Sealer(bytes(32)))
        routers = [routes(desk), access_routes(desk, access), log_routes(log, REGISTER, looks)]
        hour = timedelta(hours=1)
        doors = Doors(ResidentStore(database), lambda: bytes(32), looks.clock, hour, hour)
        routers.append(resident_routes(doors, OwnData(store, contents, REGISTER, organisations), looks, ""))
        routers.append(pages.routes(desk, access))
        app = create_app("audit", runtime=NoRuntime(), settings=settings, routers=routers, transport=issuer.transport)
        page, sealer = Client(CLIENT, SECRET, str(client.base_url)), Sealer(bytes(32))
        app.state.sessions = Sessions(page, MongoSessions(database), app.state.verifier, sealer)
        app.include_router(session_routes(app.state.sessions))
        one.app, one.store = app, store
        client._transport = httpx.ASGITransport(app)
        client.headers["authorization"] = f"Bearer {token(issuer, 'audit:read processing-log:read')}"
        yield one


async def sign_in(auditor: Auditor, issuer: TestIssuer, scope: str = "audit:read") -> None:
    """From now on the client has a session, as the issuer's login leaves it, and no token."""
    client = auditor.client
    client.headers.pop("authorization", None)
    asked = await client.get("/login")
    answer = issuer.authorize(asked.headers["location"])
    now, nonce = int(time.time()), issuer.codes["code-1"]["nonce"]
    mine = good_claims(aud=CLIENT, nonce=nonce, iat=now, exp=now + 300)
    issuer.token_answer = {"access_token": token(issuer, scope), "id_token": issuer.token(mine)}
    back = await client.get("/callback", params=answer)
    assert (back.status_code, back.headers["location"]) == (303, "/"), back.text
