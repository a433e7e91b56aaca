"""The way out over Kafka: the feed of each organisation that chose it, on its own topic, by one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from time import time
from typing import Protocol

from aiokafka.errors import KafkaError
from hulpketen_contracts import with_sequence

from services.chassis.kafka_rights import WRITE
from services.chassis.logs import Waits, get_logger
from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.pipeline.model import Ack, Outgoing
from services.chassis.preflight import NotReady, Reasons
from services.chassis.telemetry import Destination, RecordSpan, start_delivery_span
from services.notifications import metrics
from services.notifications.domain.directory import Directory, Organisation
from services.notifications.streams import Hub, Line

log = get_logger(__name__)
_PAUSE_S = 1.0


class Lease(Protocol):
    """Of the one that delivers."""

    async def held(self) -> bool: ...

    async def release(self) -> None: ...


class Cursors(Protocol):
    """How far each feed has been sent on, and to which incarnation of the broker."""

    async def cursor(self, organisation: str) -> tuple[int, str]: ...

    async def set_cursor(self, organisation: str, n: int, incarnation: str) -> None: ...


class Topics(Protocol):
    """Makes topics, or sees that they are there."""

    async def ensure_topics(self, wanted: Mapping[str, Collection[int]], partitions: int | None = None) -> None: ...


class Producer(Protocol):
    """Sends records, all in flight together, and says which were acknowledged."""

    async def send(self, records: Sequence[Outgoing], partition: int | None = None) -> list[Ack | None]: ...


class Delivery:
    """Sends feeds on, in the order of their numbers and at least once: readers drop by number what they have seen."""

    def __init__(
        self,
        hub: Hub,
        directory: Directory,
        cursors: Cursors,
        lease: Lease,
        topics: Topics,
        producer: Producer,
        *,
        delivered: Callable[[str, int, int], Awaitable[None]],
        first: Callable[[str], Awaitable[int]],
        incarnation: Callable[[], str],
    ) -> None:
        """`delivered` writes down, before it is sent, which lines an organisation gets; `first`: the lowest number of
        a feed that is kept."""
        self._hub = hub
        self._directory = directory
        self._cursors = cursors
        self._lease = lease
        self._topics = topics
        self._producer = producer
        self._delivered = delivered
        self._first = first
        self._incarnation = incarnation
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._reasons: dict[str, Reasons] = {}
        self._waits: dict[str, Waits] = {}

    async def look(self) -> None:
        """Begin what should be under way and is not; to be called again and again. Without the lease: stop all."""
        if not self._incarnation() or not await self._lease.held():
            return await self._stop()
        for organisation in self._directory.organisations.values():
            task = self._under_way.get(organisation.id)
            if organisation.kafka and (task is None or task.done()):
                self._under_way[organisation.id] = asyncio.create_task(self._try(organisation))
        return None

    async def close(self) -> None:
        """Stop, and let another process go on at once."""
        await self._stop()
        with suppress(StoreUnavailable):  # it runs out by itself
            await self._lease.release()

    async def _stop(self) -> None:
        tasks, self._under_way = list(self._under_way.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, organisation: Organisation) -> None:
        try:
            await self._deliver(organisation)
        except (KafkaError, StoreUnavailable, OSError, TimeoutError) as error:
            self._waits_of(organisation.id).say(error=error)
        except NotReady as error:
            self._reasons_of(organisation.id).say(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said, and the next look begins again
            self._waits_of(organisation.id).say(error=error, failed=True)

    def _waits_of(self, organisation: str) -> Waits:
        waits = log.waits("delivery_waits", "delivery_failed", organisation=organisation)
        return self._waits.setdefault(organisation, waits)

    def _reasons_of(self, organisation: str) -> Reasons:
        return self._reasons.setdefault(organisation, Reasons())

    async def _deliver(self, organisation: Organisation) -> None:
        """Send on until something changes or fails. A broker that lost its log is sent all that is kept, again."""
        incarnation = self._incarnation()
        if organisation.feed is None:
            return
        n, known = await self._cursors.cursor(organisation.id)
        since = 0.0
        if known != incarnation:
            since = time()
            n = max(await self._first(organisation.feed) - 1, 0)
        topic = f"partners.{organisation.id}"
        await self._topics.ensure_topics({topic: [WRITE]}, partitions=1)
        async with aclosing(self._hub.pages(organisation.feed, n, lambda: _PAUSE_S)) as pages:
            async for lines in pages:
                if not all(line.shared for line in lines):
                    await self._delivered(organisation.id, lines[0].n, lines[-1].n)
                held = await self._lease.held()
                chosen = self._directory.organisations[organisation.id] == organisation
                # The incarnation last: between this look and the send nothing is awaited.
                if not held or not chosen or self._incarnation() != incarnation:
                    return
                if lines and not await self._send(organisation.id, topic, lines, incarnation, since):
                    return

    async def _send(self, organisation: str, topic: str, lines: Sequence[Line], incarnation: str, since: float) -> bool:
        """Whether all were acknowledged; the cursor stands after the last before which none failed."""
        to = Destination("kafka", topic, "partners.{organisation}")
        spans = [start_delivery_span(line.record.headers, to) for line in lines]
        records = [_record(topic, line, span) for line, span in zip(lines, spans, strict=True)]
        # The numbers keep their order in one partition, also where somebody made the topic with more.
        acks = await self._producer.send(records, partition=0)
        for span, ack in zip(spans, acks, strict=True):
            if span:
                span.end(None if ack else "not-acknowledged")
        sent = acks.index(None) if None in acks else len(acks)
        if sent:
            self._waits_of(organisation).over()
            self._reasons_of(organisation).mended()
            metrics.arrived("kafka", (line.times for line in lines[:sent] if not line.shared), since)
            await self._cursors.set_cursor(organisation, lines[sent - 1].n, incarnation)
        return sent == len(lines)


def _record(topic: str, line: Line, span: RecordSpan | None) -> Outgoing:
    headers = with_sequence(line.record.headers, line.n)
    if span:  # the partner's own span goes on from the delivery
        headers["traceparent"] = span.traceparent.encode()
    return line.record._replace(topic=topic, headers=headers)
