"""How partners follow their feeds: over server-sent events or Kafka, with the reader of the contracts package."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from hulpketen_contracts import Decoded
from hulpketen_contracts.reader import FeedReader, Gap

from cli.demo.ledger import Ledger
from cli.demo.scan import Scanner

_PAUSE_S = 0.1
# Heartbeats come every 15 s.
SILENCE = httpx.Timeout(5, read=40)
_HANG_UP, _FORGET = 0.01, 0.5
_FORGOTTEN = 5
OnEvent = Callable[[Decoded], None]


@dataclass
class Feed:
    """The feed of one organisation: what it reads goes into the ledger, and then to whom it may concern."""

    organisation: str
    ledger: Ledger
    scanner: Scanner
    on_event: OnEvent
    reader: FeedReader = field(default_factory=FeedReader)

    def came(self, event: Decoded | None) -> None:
        """Take what the reader gave, if anything."""
        if event is not None:
            self.ledger.saw(self.organisation, event, time.perf_counter())
            self.on_event(event)


class SseClient:
    """Follows a feed over SSE. Now and then it hangs up by itself, and sometimes it forgot the last lines by then."""

    def __init__(self, feed: Feed, http: httpx.AsyncClient, url: str, token: str, dice: Random) -> None:
        self._feed = feed
        self._http = http
        self._url = url
        self._token = token
        self._dice = dice
        self._first = 0

    async def follow(self) -> None:
        """Until it is cancelled; a connection that breaks is made anew."""
        while True:
            try:
                await self._connection()
            except (httpx.HTTPError, Gap):
                await asyncio.sleep(_PAUSE_S)

    async def _connection(self) -> None:
        reader = self._feed.reader
        headers = reader.connection_headers() | {"Authorization": f"Bearer {self._token}"}
        new = not reader.last
        if new:  # all there is, from whatever number on: the feed of a chain that was restored begins at a higher one
            del headers["Last-Event-ID"]
        elif self._dice.random() < _FORGET:
            headers["Last-Event-ID"] = str(max(self._first, reader.last - self._dice.randrange(_FORGOTTEN)))
        async with self._http.stream("GET", self._url, headers=headers, params={"after": 0} if new else {}) as response:
            response.raise_for_status()
            number = -1
            async for line in response.aiter_lines():
                self._feed.scanner.look("the feeds of partners", line.encode())
                if line.startswith("id:"):
                    if new and number < 0:  # the stream begins with where it begins
                        self._first = reader.last = int(line[3:])
                    number = int(line[3:])
                if line.startswith("data:"):
                    if number <= reader.last:
                        self._feed.ledger.copy()
                    elif self._dice.random() < _HANG_UP:
                        return
                self._feed.came(reader.sse_line(line))


class TopicClient:
    """Follows a feed on its Kafka topic, from the beginning again whenever the broker has lost its log."""

    def __init__(self, feed: Feed, door: Mapping[str, Any], lives: Callable[[], int]) -> None:
        """`door`: what aiokafka's clients need to connect; `lives`: how often the broker was started."""
        self._feed = feed
        self._door = door
        self._lives = lives
        self._partition = TopicPartition(f"partners.{feed.organisation}", 0)

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._life(self._lives())
            except (KafkaError, OSError, TimeoutError, Gap):
                await asyncio.sleep(_PAUSE_S)
            except asyncio.CancelledError:
                # aiokafka cancels what waits for a broker that went away; only what was asked of us ends us.
                if (task := asyncio.current_task()) is None or task.cancelling():
                    raise

    async def _life(self, life: int) -> None:
        consumer = AIOKafkaConsumer(
            **self._door, auto_offset_reset="earliest", enable_auto_commit=False, metadata_max_age_ms=2000
        )
        try:
            await consumer.start()
            while self._partition.topic not in await consumer.topics():
                await asyncio.sleep(_PAUSE_S)
            consumer.assign([self._partition])
            await consumer.seek_to_beginning(self._partition)
            while self._lives() == life:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        self._take(record.headers, record.value)
        finally:
            await consumer.stop()

    def _take(self, headers: list[tuple[str, bytes]], value: bytes) -> None:
        self._feed.scanner.look("the feeds of partners", json.dumps([name for name, _ in headers]).encode() + value)
        before = self._feed.reader.last
        event = self._feed.reader.kafka(headers, value)
        if self._feed.reader.last == before:
            self._feed.ledger.copy()
        self._feed.came(event)
