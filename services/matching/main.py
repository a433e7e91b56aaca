"""Matching, put together."""

from __future__ import annotations

import httpx

from services.chassis.mongo.aliases import EVERY_S, Aliases
from services.chassis.service import Service
from services.chassis.settings import load
from services.chassis.web import App, create_app, serve
from services.matching import api_cases, api_directory, api_referrals
from services.matching.api import Matching, refuse
from services.matching.domain.directory import Directory
from services.matching.domain.errors import MatchingError
from services.matching.domain.file import file_id
from services.matching.domain.recovered import reflect
from services.matching.events import TOPIC, handlers
from services.matching.settings import Settings
from services.matching.snapshot import Snapshot
from services.matching.store import SCHEMA, MatchingStore


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> App:
    """The application, with its runtime. `transport`: how the issuer is reached."""

    def directory() -> Directory:
        return snapshot.current

    policy = settings.matching.policy()
    service = Service("matching", settings, handlers=handlers(directory, policy), topics=(TOPIC,), schema=SCHEMA)
    store = MatchingStore(service.database)
    snapshot = Snapshot(store)
    aliases = Aliases(service.database, service.engine, file_id)

    service.before_start(snapshot.refresh)
    service.catch_up.reflect = reflect
    service.catch_up.again.append(snapshot.refresh)
    service.catch_up.erase = aliases.erase_all
    service.every("directory", settings.matching.directory_refresh_s, snapshot.refresh)
    service.every("aliases", EVERY_S, aliases.erase)
    matching = Matching(service.engine, store, snapshot, policy, service.looks)
    routers = [part.routes(matching) for part in (api_cases, api_referrals, api_directory)]
    app = create_app("matching", runtime=service, settings=settings, routers=routers, transport=transport)
    app.add_exception_handler(MatchingError, refuse)
    return app


def main() -> None:
    """Run the service until it is asked to stop."""
    settings = load(Settings)
    serve(build(settings), settings.http)
