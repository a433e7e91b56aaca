"""HTTP out: the feed of an organisation as server-sent events, from any number on, for as long as the session lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from time import time
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.chassis.auth import Principal, requires
from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.problems import FieldError, Problem
from services.chassis.sessions import Session, Sessions
from services.chassis.telemetry import Destination, start_delivery_span
from services.notifications import metrics
from services.notifications.looking import FeedLooks
from services.notifications.readers import Readers
from services.notifications.settings import NotificationsSettings
from services.notifications.streams import Hub, Line, TooManyReadersError

log = get_logger(__name__)
# A session that was ended elsewhere gets nothing more after this time, and its stream ends at the next heartbeat.
_LOOK_AGAIN_S = 2.0
_CHUNK_BYTES = 65_536


class Feeds(Protocol):
    """The ends of a feed."""

    async def first(self, reader: str) -> int: ...

    async def last(self, reader: str) -> int: ...


class EventStream(Response):
    """Sends chunks until there are none, the reader leaves, or it takes nothing for `stall_s` seconds."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes], stall_s: float) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one reader."""
        writing = asyncio.ensure_future(self._write(send))
        leaving = asyncio.ensure_future(_left(receive))
        tasks = {writing, leaving}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not writing.cancelled():
            writing.result()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # Where a reader stalls nothing ends the answer, and the server cuts the connection.
        with suppress(TimeoutError, StoreUnavailable):
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    async with asyncio.timeout(self._stall_s):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def routes(hub: Hub, feeds: Feeds, readers: Readers, settings: NotificationsSettings, looks: FeedLooks) -> APIRouter:
    """GET /v1/events. A stream is in the processing log before its first line about a case or referral goes out, and
    again when it ends; one that gave none is not."""
    router = APIRouter(prefix="/v1/events", tags=["feed"])

    @router.get("", summary="Your organisation's feed, live", response_class=EventStream)
    async def events(
        request: Request,
        principal: Annotated[Principal, Depends(requires("feed:read"))],
        after: Annotated[
            int | None, Query(ge=0, lt=2**53, description="The number to go on from; 0: all that is kept.")
        ] = None,
        last_event_id: Annotated[
            str | None,
            Header(pattern=r"^\d{1,15}$", description="As `after`, and before it. Neither: only what is new."),
        ] = None,
    ) -> EventStream:
        started = looks.clock()
        feed = (await readers.of(principal)).feed
        n = await _start(feeds, feed, after, int(last_event_id) if last_event_id is not None else None)
        try:
            hub.admit(feed)
        except TooManyReadersError:
            raise Problem(503, "Too many streams are open.", headers={"Retry-After": "5"}) from None
        lasting = _Lasting(principal, await _session(request), request.app.state, looks.clock)
        place = _Place(feed, n, _Stream(looks, principal, started))
        return EventStream(_logged(_chunks(hub, place, lasting, settings.heartbeat_s), place), settings.stall_s)

    return router


async def _start(feeds: Feeds, feed: str, after: int | None, last_event_id: int | None) -> int:
    """The number to go on from. Raises Problem 410 where what comes after it is not kept, 400 where it never was."""
    last, first = await feeds.last(feed), await feeds.first(feed)
    given = after if last_event_id is None else last_event_id
    if given is None:
        return last
    if given > last:
        detail = f"The feed has no such number yet: its last is {last}."
        where, place = ("/after", "query") if last_event_id is None else ("/last-event-id", "header")
        wrong = FieldError(where, "beyond-the-last", detail, place)
        raise Problem(400, detail, type="beyond-the-last", errors=[wrong])
    if given < first - 1:
        if last_event_id is None and after == 0:
            return first - 1
        raise _too_old()
    return given


def _too_old() -> Problem:
    return Problem(
        410,
        "What came after this number is no longer kept. Read /v1/referrals, and follow from its asOf.",
        type="too-old",
        headers={"Link": '</v1/referrals>; rel="alternate"'},
        extensions={"backfill": "/v1/referrals"},
    )


class _Lasting:
    """Whether a stream may go on: its token or session has neither expired nor ended."""

    def __init__(
        self, principal: Principal, session: Session | None, state: object, clock: Callable[[], datetime]
    ) -> None:
        self._principal, self._session, self._clock = principal, session, clock
        self._sessions: Sessions | None = getattr(state, "sessions", None)
        self._looked = clock()

    def seconds_left(self) -> float:
        """Until it expires."""
        return (self._principal.expires_at - self._clock()).total_seconds()

    async def go_on(self) -> bool:
        """Whether it lasts; a session is looked up at most every two seconds."""
        if self.seconds_left() <= 0:
            return False
        age = (self._clock() - self._looked).total_seconds()
        if self._session is None or self._sessions is None or age < _LOOK_AGAIN_S:
            return True
        self._looked = self._clock()
        return await self._sessions.alive(self._session)


async def _session(request: Request) -> Session | None:
    sessions: Sessions | None = getattr(request.app.state, "sessions", None)
    if sessions is None or "authorization" in request.headers:
        return None
    return await sessions.current(request)


class _Stream:
    """A stream in the processing log: its first line stands there before anything about a case or referral goes out."""

    def __init__(self, looks: FeedLooks, by: Principal, started: datetime) -> None:
        self._looks, self._by, self._started = looks, by, started
        self._first: int | None = None

    async def gives(self, lines: Sequence[Line]) -> None:
        """These are about to go out. Raises StoreUnavailable."""
        if self._first is None and not all(line.shared for line in lines):
            self._first = lines[0].n
            await self._looks.opened(self._by, self._first, self._started)

    async def ended(self, last: int) -> None:
        """It gave all up to this number."""
        if self._first is not None:
            await self._looks.closed(self._by, self._first, last, self._started)


class _Place:
    """Where a reader is in a feed: it has all up to n, or is being sent it."""

    def __init__(self, feed: str, n: int, stream: _Stream) -> None:
        self.feed, self.n, self.stream = feed, n, stream


async def _logged(chunks: AsyncGenerator[bytes], place: _Place) -> AsyncGenerator[bytes]:
    """The stream; however it ends, the processing log says how far it came."""
    try:
        with metrics.streams.track_inprogress():
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
    finally:
        await place.stream.ended(place.n)


async def _chunks(hub: Hub, place: _Place, lasting: _Lasting, heartbeat_s: float) -> AsyncGenerator[bytes]:
    """The stream. It begins with an id alone, so that a reader goes on from there even if nothing came yet."""
    yield f": you have all up to {place.n}\nid: {place.n}\n\n".encode()

    opened = time()

    def pause() -> float:
        return max(0.01, min(heartbeat_s, lasting.seconds_left()))

    to = Destination("sse", place.feed, "/v1/events")
    async with aclosing(hub.pages(place.feed, place.n, pause)) as pages:
        async for lines in pages:
            if not await lasting.go_on():
                return
            if lines and lines[0].n != place.n + 1:
                log.warning("reader_fell_behind", missing=lines[0].n - place.n - 1)
                return  # what it needs was removed: when it comes back, 410 tells it what to do
            if lines:
                await place.stream.gives(lines)
                place.n = lines[-1].n
            spans = [span for line in lines if (span := start_delivery_span(line.record.headers, to))]
            for chunk in _joined(lines) if lines else (b": still here\n\n",):
                yield chunk
            for span in spans:  # it went: where the reader has left, nothing goes on from the `yield`
                span.end()
            metrics.arrived("stream", (line.times for line in lines if not line.shared), opened)


def _joined(lines: Sequence[Line]) -> list[bytes]:
    chunks = [b""]
    for line in lines:
        if len(chunks[-1]) > _CHUNK_BYTES:
            chunks.append(b"")
        chunks[-1] += line.frame
    return chunks
