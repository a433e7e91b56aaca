"""The audit, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import timedelta

import httpx
from fastapi import APIRouter
from hulpketen_contracts import TOPICS

from services.audit import api, api_access, metrics, pages
from services.audit.access_store import AccessStore
from services.audit.api_log import ProcessingLogReader
from services.audit.api_log import routes as log_routes
from services.audit.api_residents import routes as resident_routes
from services.audit.api_trail import routes as trail_routes
from services.audit.api_witnesses import routes as witness_routes
from services.audit.contents import Contents, SubjectKeys
from services.audit.domain.announcement import reflect
from services.audit.events import Writer
from services.audit.looking import UnusualAccess
from services.audit.measuring import EVERY_S as MEASURE_EVERY_S
from services.audit.measuring import Measuring
from services.audit.organisations import Organisations
from services.audit.resident_store import ResidentStore
from services.audit.residents import Doors, OwnData
from services.audit.settings import Settings
from services.audit.store import SCHEMA, TrailStore
from services.audit.trail import Trail
from services.audit.witness_store import WitnessStore
from services.audit.witnesses import Witnesses
from services.chassis.keys import DerivedKey, DerivedSealer
from services.chassis.logs import get_logger
from services.chassis.mongo.sessions import MongoSessions
from services.chassis.pipeline.model import DeadLetter, Record
from services.chassis.service import Service, now
from services.chassis.sessions import Sessions, session_routes
from services.chassis.settings import load
from services.chassis.web import App, create_app, serve

log = get_logger(__name__)
SIGN_EVERY_S = 1.0
LOOK_TO_ANNOUNCE_S = 10.0
FORGET_EVERY_S = 3_600.0
TOPICS_OF_THE_CHAIN = tuple(name for name, topic in TOPICS.items() if "audit" in topic.consumers)


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> App:
    """The application, with its runtime. `transport`: how the issuer is reached."""

    async def handle(records: Sequence[Record]) -> list[DeadLetter]:
        letters = await writer.handle(records)
        if len(records) < settings.audit.batch_size:
            await asyncio.sleep(settings.audit.gather_s)
        return letters

    service = Service(
        "audit",
        settings,
        topics=TOPICS_OF_THE_CHAIN,
        batch_handler=handle,
        batch_size=settings.audit.batch_size,
        single_writer=True,
        schema=SCHEMA,
    )
    store = TrailStore(service.database)
    keys = SubjectKeys(store, service.keys, now, settings.audit.key_period_days)
    lease = service.writer_lease or service.lease("writer")

    async def bury(letters: Sequence[DeadLetter]) -> None:
        await service.store.bury(service.name, service.incarnation.known(), letters)

    async def hold() -> None:
        # While nothing comes, too: a batch renews it only when there is one.
        metrics.writing.set(1 if await lease.held() else 0)
        writer.show_rest()

    async def erase(persons: Collection[str]) -> None:
        persons = await store.with_aliases(persons)
        keys.drop(persons)
        await store.erase(persons, now())

    service.catch_up.erase = erase
    service.catch_up.reflect = reflect
    trail = Trail(service, settings.audit, store, lease)
    service.before_start(trail.open)
    service.catch_up.first = trail.rebuild
    writer = Writer(store, lease, bury, keys, clock=now, reach=trail.reach, added=trail.added)
    service.every("keys", 1, keys.turn)
    service.every("signing", SIGN_EVERY_S, trail.step)
    service.every("announcing", min(LOOK_TO_ANNOUNCE_S, settings.audit.announce_s / 4), trail.announce)
    service.every("writer_lease", settings.pipeline.lease_s / 4, hold)
    witnesses = Witnesses(WitnessStore(service.database), trail.checkpoints, lambda: trail.key, now)
    measuring = Measuring(store, trail.checkpoints, witnesses, lease, now)
    service.every("measuring", MEASURE_EVERY_S, measuring.look)
    register = settings.audit.register
    if missing := register.without_basis:
        log.warning("register_without_basis", activities=missing, todo="say it in AUDIT_REGISTER_FILE")
    sealer = DerivedSealer(DerivedKey(service.keys, "data-subject-ids", oldest=True))
    reader = ProcessingLogReader(store, Contents(keys), register, sealer)
    organisations = Organisations(store, Contents(keys))
    routers = [
        *_for_auditors(service, settings, store, organisations, Contents(keys)),
        trail_routes(trail, store, service.looks, witnesses.under),
        witness_routes(witnesses, trail.checkpoints),
        log_routes(reader, register, service.looks),
        _for_residents(service, settings, OwnData(store, Contents(keys), register, organisations)),
    ]
    app = create_app("audit", runtime=service, settings=settings, routers=routers, transport=transport)
    return _sign_in(app, service, settings)


def _for_auditors(
    service: Service, settings: Settings, store: TrailStore, organisations: Organisations, contents: Contents
) -> list[APIRouter]:
    accesses = AccessStore(service.database)

    async def forget() -> None:
        await accesses.forget(now() - timedelta(days=settings.audit.access_days))

    service.every("accesses", FORGET_EVERY_S, forget)
    desk = api.Desk(store, contents, service.looks, settings.audit.export_entries)
    unusual = UnusualAccess(accesses, contents, organisations, settings.unusual)
    page = [pages.routes(desk, unusual)] if settings.page.client else []
    return [api.routes(desk), api_access.routes(desk, unusual), *page]


def _sign_in(app: App, service: Service, settings: Settings) -> App:
    if client := settings.page.client:
        sealer = DerivedSealer(DerivedKey(service.keys, "sessions"))
        app.state.sessions = Sessions(client, MongoSessions(service.database), app.state.verifier, sealer)
        app.include_router(session_routes(app.state.sessions))
    return app


def _for_residents(service: Service, settings: Settings, own: OwnData) -> APIRouter:
    key = DerivedKey(service.keys, "resident-codes", oldest=True)
    code_for, session_for = (
        timedelta(minutes=minutes)
        for minutes in (settings.audit.resident_code_minutes, settings.audit.resident_session_minutes)
    )
    doors = Doors(ResidentStore(service.database), key, now, code_for, session_for)
    return resident_routes(doors, own, service.looks, settings.page.public_url)


def main() -> None:
    """Run the service until it is asked to stop."""
    settings = load(Settings)
    serve(build(settings), settings.http)
