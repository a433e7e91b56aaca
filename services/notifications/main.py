"""Notifications, put together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import httpx

from services.chassis.keys import DerivedKey, DerivedSealer
from services.chassis.login import Client
from services.chassis.mongo.aliases import EVERY_S, Aliases
from services.chassis.mongo.feeds import MongoFeeds
from services.chassis.mongo.sessions import MongoSessions
from services.chassis.pipeline.feed import FeedPublisher
from services.chassis.pipeline.model import DeadLetter, Record
from services.chassis.service import Service, now
from services.chassis.sessions import Sessions, session_routes
from services.chassis.settings import load
from services.chassis.web import App, create_app, serve
from services.notifications import api, api_events, board
from services.notifications.delivery import Delivery
from services.notifications.domain.checkpoint import SHARED
from services.notifications.domain.directory import Directory
from services.notifications.domain.file import file_id
from services.notifications.events import TOPICS, followed, handlers
from services.notifications.looking import FeedLooks
from services.notifications.measured import EVERY_S as MEASURE_EVERY_S
from services.notifications.measured import MeasuredFeeds, Waiting
from services.notifications.readers import Readers
from services.notifications.settings import NotificationsSettings, Settings
from services.notifications.store import SCHEMA, NotificationsStore
from services.notifications.streams import Hub
from services.notifications.upstream import Upstream

REFRESH_EVERY_S = 15.0
FOLLOW_AGAIN_S = 0.5
DELIVERY_EVERY_S = 1.0
PRUNE_EVERY_S = 3_600.0


class Parts:
    """What lives as long as the process, beside the chassis' own service."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        own = settings.notifications
        self.directory = Directory()
        self.service = Service(
            "notifications",
            settings,
            handlers=handlers(self.directory),
            topics=TOPICS,
            schema=SCHEMA,
            batch_handler=self.take,
            publisher=self._way_out,
        )
        self.feeds = MongoFeeds(self.service.database)
        self.store = NotificationsStore(self.service.database, self.feeds)
        self.aliases = Aliases(self.service.database, self.service.engine, file_id)
        self.looks = FeedLooks(self.service.looks)
        self.hub = Hub(
            self.store.new_lines,
            self.feeds.after,
            held=own.lines_held,
            page=own.page,
            most=own.streams,
            most_each=own.streams_per_organisation,
        )
        lease = self.service.lease("delivery")
        self.delivery = Delivery(
            self.hub,
            self.directory,
            self.store,
            lease,
            self.service.admin,
            self.service.producer,
            delivered=self.looks.delivered,
            first=self.feeds.first,
            incarnation=self.service.incarnation.known,
        )
        self.waiting = Waiting(self.directory, self.store, self.feeds, lease, self.service.incarnation.known, now)
        self.matching = Upstream(own.matching_url, own.upstream_timeout_s, transport)
        self.intake = Upstream(own.intake_url, own.upstream_timeout_s, transport)
        self.audit = Upstream(own.audit_url, own.upstream_timeout_s, transport) if own.audit_url else None
        self._keep_for = timedelta(days=own.feed_days)
        self._schedule()

    def _way_out(self, service: Service) -> FeedPublisher:
        feeds = MeasuredFeeds(service.database)
        return FeedPublisher(service.store, feeds, shared=SHARED, everybody=self.directory.feeds)

    def _schedule(self) -> None:
        service = self.service
        service.before_start(self.refresh)
        service.catch_up.again.append(self.refresh)
        service.catch_up.erase = self.aliases.erase_all
        service.every("follow", FOLLOW_AGAIN_S, self.hub.follow)
        service.every("directory", REFRESH_EVERY_S, self.refresh)
        service.every("delivery", DELIVERY_EVERY_S, self.delivery.look)
        service.every("waiting", MEASURE_EVERY_S, self.waiting.look)
        service.every("prune", PRUNE_EVERY_S, self.prune)
        service.every("aliases", EVERY_S, self.aliases.erase)
        service.on_stop(self.delivery.close)
        for upstream in (self.matching, self.intake, self.audit):
            if upstream:
                service.on_stop(upstream.close)

    async def take(self, records: Sequence[Record]) -> list[DeadLetter]:
        """Apply a batch, but for what is not for this service."""
        return await self.service.consumer.handle(followed(records))

    async def refresh(self) -> None:
        """Learn what another process of this service took in."""
        await self.store.refresh(self.directory)

    async def prune(self) -> None:
        """Remove what feeds have kept long enough."""
        await self.store.prune(now() - self._keep_for)


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> App:
    """The application, with its runtime. `transport`: how the issuer, matching, intake and audit are reached."""
    own = settings.notifications
    parts = Parts(settings, transport)
    service, readers = parts.service, Readers(parts.store, parts.directory)
    lists = api.Lists(parts.store, parts.feeds.last, parts.looks)
    app = create_app(
        "notifications",
        runtime=service,
        settings=settings,
        routers=[
            api.routes(lists, readers),
            api_events.routes(parts.hub, parts.feeds, readers, own, parts.looks),
            board.routes(parts.directory, readers, parts.matching, parts.intake, parts.audit),
        ],
        transport=transport,
    )
    app.state.hub = parts.hub
    sessions = _sessions(own, parts, app)
    app.state.sessions = sessions
    app.include_router(session_routes(sessions))

    async def end_streams() -> None:
        await app.state.stopping.wait()
        parts.hub.close()

    service.every("end_streams", FOLLOW_AGAIN_S, end_streams)
    return app


def _sessions(own: NotificationsSettings, parts: Parts, app: App) -> Sessions:
    client = Client(own.client_id, own.client_secret.get_secret_value(), own.public_url)
    sealer = DerivedSealer(DerivedKey(parts.service.keys, "sessions"))
    return Sessions(client, MongoSessions(parts.service.database), app.state.verifier, sealer)


def main() -> None:
    """Run the service until it is asked to stop."""
    settings = load(Settings)
    serve(build(settings), settings.http)
