"""A broker in memory: partitions, groups with their committed offsets, and everything that can go wrong with them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from services.chassis.pipeline.model import Ack, Outgoing, Record
from tests.simulation.faults import OFF
from tests.simulation.scheduler import pause, sleep

Place = tuple[str, int]
Corrupt = Callable[[Outgoing], Outgoing]


class BrokerAway(OSError):
    """Nobody answers at the broker's address."""


@dataclass(eq=False)
class Session:
    """One member of a group: where it stands in the partitions that it was given."""

    group: str
    topics: Collection[str]
    cluster: str = ""
    generation: int = 0
    partitions: int = 0
    positions: dict[Place, int] = field(default_factory=dict)


@dataclass
class Group:
    """What the broker knows of a group."""

    committed: dict[Place, int] = field(default_factory=dict)
    members: list[Session] = field(default_factory=list)
    generation: int = 0


class MemoryBroker:
    """What the chassis asks of the broker through its admin and consumer clients."""

    def __init__(self, rng: random.Random, partitions: int = 2) -> None:
        self._rng = rng
        self._partitions = partitions
        self._number = 1
        self.faults = OFF
        self.away = False
        self.corrupt: Corrupt = lambda record: record
        self.logs: dict[Place, list[Outgoing]] = {}
        self.groups: dict[str, Group] = {}

    # The broker's own life

    @property
    def cluster_id(self) -> str:
        return f"cluster-{self._number}"

    def lose_log(self) -> None:
        """It starts again: another cluster id, no topics, no groups."""
        self._number += 1
        self.logs = {}
        self.groups = {}

    def end(self, topic: str) -> dict[Place, int]:
        """How long the log of each partition is."""
        return {place: len(log) for place, log in self.logs.items() if place[0] == topic}

    def append(self, record: Outgoing) -> Ack:
        """At the end of its partition. Where there is no such topic: acknowledged and lost, as Tansu does."""
        partition = crc32(record.key) % self._partitions
        log = self.logs.get((record.topic, partition), [])
        log.append(self.corrupt(record))
        return Ack(partition, len(log) - 1)

    # Admin

    async def ask(self) -> str:
        """The cluster id. Raises BrokerAway."""
        await self._travel()
        answer = self.cluster_id
        await pause()
        return answer

    async def make_topics(self, names: Iterable[str]) -> None:
        """Make the topics that are not there. Raises BrokerAway."""
        await self._travel()
        for name in names:
            for partition in range(self._partitions):
                self.logs.setdefault((name, partition), [])

    ensure_topics = make_topics

    async def check_door(self) -> None:
        """Who can reach it is let in."""

    async def committed(self, group: str, places: Sequence[Place]) -> Mapping[Place, int]:
        """The offset after the last committed one; -1 where there is none. Raises BrokerAway."""
        await self._travel()
        known = self.groups[group].committed if group in self.groups else {}
        answer = {place: known.get(place, -1) for place in places}
        await pause()
        return answer

    async def _travel(self) -> None:
        await pause()
        if self.faults.slow and self._rng.random() < self.faults.slow:
            await sleep(0.5)
        if self.away:
            raise BrokerAway

    # Consumers

    def join(self, session: Session) -> None:
        """Become a member; the group's partitions are shared out afresh."""
        group = self.groups.setdefault(session.group, Group())
        if session not in group.members:
            group.members.append(session)
        self.rebalance(session.group)

    def leave(self, session: Session) -> None:
        """No longer be a member."""
        group = self.groups.get(session.group)
        if group and session in group.members:
            group.members.remove(session)
            self.rebalance(session.group)

    def rebalance(self, name: str) -> None:
        """Share the partitions out in another way; every member starts from what is committed."""
        group = self.groups.get(name)
        if not group or not group.members:
            return
        group.generation += 1
        for member in group.members:
            member.cluster, member.generation, member.positions = self.cluster_id, group.generation, {}
            member.partitions = len(self.logs)
        for place in sorted(self.logs):
            takers = [member for member in group.members if place[0] in member.topics]
            if takers:
                self._rng.choice(takers).positions[place] = group.committed.get(place, 0)

    def poll(self, session: Session, most: int) -> list[Record]:
        """Up to `most` records, those of a partition in order. A member that this broker does not know reads on."""
        if self.away:
            return []
        if session.cluster != self.cluster_id and self._rng.random() < 0.5:
            self.join(session)
        elif session.partitions != len(self.logs):  # topics were made after these were shared out
            self.rebalance(session.group)
        records: list[Record] = []
        for place, position in session.positions.items():
            log = self.logs.get(place, ())
            end = min(len(log), position + most - len(records))
            if position < end:
                records += [_record(place, offset, log[offset]) for offset in range(position, end)]
                session.positions[place] = end
        return records

    def commit(self, session: Session, generation: int, positions: Mapping[Place, int]) -> None:
        """Remember positions; those of a past generation, or another broker's, count for nothing."""
        group = self.groups.get(session.group)
        if not self.away and group and session in group.members and group.generation == generation:
            group.committed.update(positions)


class MemoryProducer:
    """The Broker port, of one process: it sends to the incarnation that `start` named, and to no other."""

    def __init__(self, broker: MemoryBroker, rng: random.Random, later: Callable[[Coroutine[Any, Any, None]], None]):
        """`later` runs a send that was given up, and that arrives after all."""
        self._broker = broker
        self._rng = rng
        self._later = later
        self.cluster = ""

    async def start(self, cluster: str) -> None:
        """Connect. Raises BrokerAway."""
        await pause()
        if self._broker.away:
            raise BrokerAway
        self.cluster = cluster

    async def stop(self) -> None:
        """Disconnect."""
        self.cluster = ""

    async def send(self, records: Sequence[Outgoing]) -> list[Ack | None]:
        """All in flight together; None for each that was not acknowledged."""
        await pause()
        cluster, acks = self.cluster, []
        for record in records:
            acks.append(self._one(record, cluster))
            if self._rng.random() < 0.4:
                await pause()
        await pause()
        slow = self._broker.faults.ack_slow
        if slow and self._rng.random() < slow:
            await sleep(3.0)
        return acks

    def _one(self, record: Outgoing, cluster: str) -> Ack | None:
        faults, chance = self._broker.faults, self._rng.random
        if not self._reaches(cluster) or (faults.send_lost and chance() < faults.send_lost):
            return None
        if faults.send_late and chance() < faults.send_late:
            self._later(self._late(record, cluster))
            return None
        ack = self._broker.append(record)
        if faults.send_twice and chance() < faults.send_twice:
            self._broker.append(record)
        return None if faults.ack_lost and chance() < faults.ack_lost else ack

    def _reaches(self, cluster: str) -> bool:
        return cluster == self._broker.cluster_id and not self._broker.away

    async def _late(self, record: Outgoing, cluster: str) -> None:
        await sleep(1.0)
        if self._reaches(cluster):
            self._broker.append(record)


class MemorySubscriber:
    """One subscription of one group, in batches; what it gives to `handle` it commits after."""

    def __init__(
        self,
        broker: MemoryBroker,
        group: str,
        topics: Collection[str],
        handle: Callable[[Sequence[Record]], Awaitable[object]],
        batch: Callable[[], int],
        idle: Callable[[], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._group = group
        self._topics = topics
        self._handle = handle
        self._batch = batch
        self._idle = idle
        self._session: Session | None = None
        self.busy = False
        self.assigned = True

    async def start(self) -> None:
        """Join the group. Raises BrokerAway."""
        await pause()
        if self._broker.away:
            raise BrokerAway
        self._session = Session(self._group, self._topics)
        self._broker.join(self._session)

    async def stop(self) -> None:
        """Leave the group; a batch at hand goes on, and its commit counts for nothing."""
        await pause()
        if self._session:
            self._broker.leave(self._session)
            self._session = None

    def vanish(self) -> None:
        """Its process was killed, and the broker noticed."""
        if self._session:
            self._broker.leave(self._session)

    async def run(self) -> None:
        """Take batch after batch."""
        while True:
            session = self._session
            records = self._broker.poll(session, self._batch()) if session else []
            if session is None or not records:
                await self._idle()
                continue
            generation, positions = session.generation, dict(session.positions)
            self.busy = True
            await self._handle(records)
            await pause()
            self._broker.commit(session, generation, positions)
            self.busy = False


def _record(place: Place, offset: int, record: Outgoing) -> Record:
    return Record(place[0], place[1], offset, record.key, record.value, tuple(record.headers.items()))
