"""A service whose database was restored from a backup takes again what it no longer knows, before it does anything.

Its own events since the backup first, so that no number is given twice; then all that the topics that it follows
still hold. What it knows it drops, so that doing it again, in part or whole, changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hulpketen_contracts import TOPICS, Decoded, DecodeError, decode
from hulpketen_contracts.catalogue import own_topics

from services.chassis.kafka_log import KafkaLog, Take
from services.chassis.logs import get_logger
from services.chassis.mongo.restored import CAUGHT_UP, FoundAgain, Mark, RestoredDatabase
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import LeaseLost
from services.chassis.pipeline.leases import Lease
from services.chassis.pipeline.model import Ack, Handlers, Outgoing, Record
from services.chassis.pipeline.ports import Publisher, Store, Write
from services.chassis.pipeline.recovery import Input, Reflect, recover
from services.chassis.preflight import NotReady

if TYPE_CHECKING:
    from services.chassis.service import Service

log = get_logger(__name__)
Hook = Callable[[], Awaitable[object]]
Erase = Callable[[Collection[str]], Awaitable[object]]
_LATER = datetime(9999, 1, 1, tzinfo=UTC)
_AT_ONCE = 200


class CatchUp:
    """Runs once after a restore, in one process of the service; the others wait for it.

    What a service gives: `reflect`, how one of its own events changes a state, where it publishes events of
    aggregates; `again`, hooks that take over what that made known; `erase`, how it forgets persons; `first`, what it
    brings back by itself before anything is taken from a topic.
    """

    def __init__(
        self,
        service: str,
        *,
        database: RestoredDatabase,
        log_of: KafkaLog,
        lease: Lease,
        store: Store,
        engine: Engine,
        publisher: Publisher,
        handlers: Handlers,
        topics: Sequence[str],
        take: Take,
        connect: Hook,
        incarnation: Callable[[], str],
    ) -> None:
        """`connect` finds the broker and makes the producer ready; `take` applies a batch of the `topics` followed."""
        self._service = service
        self._database = database
        self._log = log_of
        self._lease = lease
        self._store = store
        self._engine = engine
        self._publisher = publisher
        self._handlers = handlers
        self._topics = topics
        self._take = take
        self._connect = connect
        self._incarnation = incarnation
        self._own = own_topics(service)
        self.reflect: Reflect | None = None
        self.again: list[Hook] = []
        self.erase: Erase | None = None
        self.first: Hook | None = None
        self.done = False

    async def run(self) -> None:
        """Catch up where the database was restored; at once done where it was not.

        Raises NotReady as long as a restore or another process is at it, StoreUnavailable, KafkaError, LeaseLost.
        """
        mark = await self._database.mark()
        if mark is not None:
            # Numbers that a former life of this database gave to streams that it no longer knows are lower.
            self._engine.epoch = mark.epoch
        if mark is not None and mark.status != CAUGHT_UP:
            if not await self._lease.held():
                raise NotReady("another process takes again what came since the backup", "wait for it")
            await self._catch_up(mark)
            await self._lease.release()
        self.done = True

    async def _catch_up(self, mark: Mark) -> None:
        await self._connect()
        log.info("catching_up", taken_at=mark.taken_at.isoformat(), topics=len(self._topics))
        await self._erase()
        if self.first:
            await self.first()
        for topic in self._own:
            await self._recover(topic)
        if not await self._complete(mark):
            await self._begin_epoch(mark)
        records = await self._log.read(self._topics, self._leased(self._take))
        await self._erase()
        await self._database.caught_up()
        log.info("caught_up", records=records)

    async def _erase(self) -> None:
        persons = await self._database.erasures()
        if persons and self.erase:
            await self.erase(persons)

    def _leased(self, take: Take) -> Take:
        async def leased(records: Sequence[Record]) -> None:
            if not await self._lease.held():
                raise LeaseLost("another process catches up")
            await take(records)

        return leased

    # Own events

    async def _recover(self, topic: str) -> None:
        """Bring the aggregates to where their events in this topic say that they were."""
        await self._database.let_go()
        await self._log.read([topic], self._leased(self._find_own))
        if not TOPICS[topic].reference:
            await self._log.read(self._topics, self._leased(self._find_inputs))
        async for group in self._database.held():
            if not await self._lease.held():
                raise LeaseLost("another process catches up")
            await self._write(group)
        for hook in self.again:
            await hook()

    async def _find_own(self, records: Sequence[Record]) -> None:
        """Hold those that their aggregates do not know of."""
        events = [(record, event) for record in records if (event := _read(record)) is not None]
        known = await self._store.load({event.envelope.stream for _, event in events})
        found = []
        for record, event in events:
            position = event.envelope.position
            there = known.get(event.envelope.stream)
            if position and (there is None or position[1:] > (there["epoch"], there["seq"])):
                found.append(FoundAgain(position.stream, True, position, record))
        if found:
            await self._database.hold(found)

    async def _find_inputs(self, records: Sequence[Record]) -> None:
        """Hold what feeds an aggregate of which an own event is held: that may be what led to it."""
        fed = [(r, e, a) for r in records if (e := _read(r)) is not None and (a := self._aggregate(e)) is not None]
        concerned = await self._database.with_own(sorted({aggregate for _, _, aggregate in fed}))
        known = await self._store.load(concerned)
        found = []
        for record, event, aggregate in fed:
            position = event.envelope.position
            seen = known[aggregate]["in"] if aggregate in known else {}
            if aggregate in concerned and position and position[1:] > tuple(seen.get(position.stream, (0, 0))):
                found.append(FoundAgain(aggregate, False, position, record))
        if found:
            await self._database.hold(found)

    def _aggregate(self, event: Decoded) -> str | None:
        handler = self._handlers.get(type(event.data))
        return handler.route(event) if handler else None

    async def _write(self, group: Sequence[FoundAgain]) -> None:
        """One aggregate. What others have of it is kept, too: the broker may lose its log after this."""
        aggregate = group[0].aggregate
        own = [event for each in group if each.own and (event := _read(each.record))]
        fed = [event for each in group if not each.own and (event := _read(each.record))]
        inputs = [Input(event, self._handlers[type(event.data)].decide) for event in fed]
        assert self.reflect is not None, f"{self._service} publishes events of aggregates"
        stored = (await self._store.load([aggregate])).get(aggregate)
        empty = {"_id": aggregate, "v": 0, "epoch": 1, "seq": 0, "state": None, "in": {}, "outbox": []}
        document = recover(stored or empty, own, inputs, self.reflect)
        await self._store.keep([_kept(each.record) for each in group if each.own], self._incarnation())
        (written,) = await self._store.write([Write(document, stored["v"] if stored else 0)])
        if written is not True:
            raise LeaseLost("another process changed the database of a service that catches up")

    # The epoch

    async def _complete(self, mark: Mark) -> bool:
        """Whether all is known that anybody has of our streams: else numbers could be given twice."""
        streams = [topic for topic in self._own if not TOPICS[topic].reference]
        if not streams:
            return True
        reaches = await self._log.reaches_back(streams, mark.taken_at)
        if mark.incarnation == self._incarnation():
            return reaches is not False
        return reaches is None and mark.whole

    async def _begin_epoch(self, mark: Mark) -> None:
        """What waits in outboxes goes first: their numbers are those of the old epoch."""
        while due := await self._store.due(_LATER, _AT_ONCE):
            await self._publisher.publish(due)
            if await self._store.due(_LATER, _AT_ONCE) == due:
                raise NotReady("the broker does not take what waits in the outboxes", "see to the broker")
        await self._database.begin_epoch(mark.fresh_epoch)
        self._engine.epoch = mark.fresh_epoch
        log.warning("epoch_begun", epoch=mark.fresh_epoch)


def catch_up_of(service: Service, handlers: Handlers, topics: Sequence[str], take: Take) -> CatchUp:
    """That of a service, which is being put together."""
    settings = service.settings
    return CatchUp(
        service.name,
        database=RestoredDatabase(service.database),
        log_of=KafkaLog(settings.kafka, settings.pipeline.batch_size),
        lease=service.lease("catch-up"),
        store=service.store,
        engine=service.engine,
        publisher=service.publisher,
        handlers=handlers,
        topics=topics,
        take=take,
        connect=service.watch.connect,
        incarnation=service.incarnation.known,
    )


def _read(record: Record) -> Decoded | None:
    try:
        return decode(record.headers, record.value)
    except DecodeError:
        return None


def _kept(record: Record) -> tuple[Outgoing, Ack]:
    headers = {name: value for name, value in record.headers if value is not None}
    return Outgoing(record.topic, record.key or b"", headers, record.value or b""), Ack(record.partition, record.offset)
