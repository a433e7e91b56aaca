"""Follows which broker this is, and keeps producer and subscription on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from hulpketen_contracts import TOPICS
from hulpketen_contracts.catalogue import own_topics

from services.chassis.kafka import KafkaProducer, KafkaSubscriber
from services.chassis.kafka_admin import KafkaAdmin
from services.chassis.kafka_rights import READ, WRITE
from services.chassis.logs import get_logger
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.leases import Lease
from services.chassis.preflight import NotReady, Reasons

log = get_logger(__name__)


def topics_of(service: str) -> Mapping[str, Collection[int]]:
    """The topics that this service uses, and what it does with each; those of partners are left to who sends there.

    A broker does not show it the others.
    """
    # What it said itself it reads after a restore from a backup: better to know of a missing right before.
    own = own_topics(service)
    uses = {
        name: [
            right
            for right, may in ((READ, service in topic.consumers or name in own), (WRITE, service in topic.producers))
            if may
        ]
        for name, topic in TOPICS.items()
        if "{" not in name
    }
    return {name: rights for name, rights in uses.items() if rights}


class BrokerWatch:
    """Call `check` again and again. A broker with another cluster id has lost its log: make the topics, subscribe
    afresh. With a `writer` lease only its holder consumes."""

    def __init__(
        self,
        service: str,
        incarnation: Incarnation,
        admin: KafkaAdmin,
        producer: KafkaProducer,
        subscriber: KafkaSubscriber | None,
        writer: Lease | None,
    ) -> None:
        self._topics = topics_of(service)
        self._incarnation = incarnation
        self._admin = admin
        self._producer = producer
        self._subscriber = subscriber
        self._writer = writer
        self._topics_made = False
        self._subscribed = False
        self._reasons = Reasons()
        self._away = log.waits("broker_away")
        self.present = False

    @property
    def consuming(self) -> bool:
        """Whether the consume loop goes on, or rightly does not: there is none, or another process writes."""
        standby = self._writer is not None and self._writer.fence is None
        return self._subscriber is None or standby or (self._subscribed and self._subscriber.assigned)

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """What this process reads with now."""
        return self._subscriber.consumer if self._subscribed and self._subscriber else None

    async def check(self) -> None:
        """One look at the broker. Its absence is no error here: `present` says it. Raises StoreUnavailable."""
        try:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError) as error:
                self._away.say(error=error)
                if not self.present:
                    await self._admin.check_door()
                self.present = False
            else:
                self._away.over()
                self.present = True
                self._reasons.mended()
        except NotReady as error:
            self._reasons.say(error)
            self.present = False

    async def stop(self) -> None:
        """Let the batch at hand finish, and disconnect."""
        await self._unsubscribe()
        await self._producer.stop()
        await self._admin.close()

    async def connect(self) -> None:
        """Know the broker, see to the topics, and have a producer on it. Raises KafkaError, NotReady."""
        if await self._incarnation.check():
            log.info("broker_incarnation", cluster=self._incarnation.known())
            self._topics_made = False
            await self._unsubscribe()
        if not self._topics_made:
            await self._admin.ensure_topics(self._topics)
            self._topics_made = True
        if self._producer.cluster != self._incarnation.known():
            await self._producer.start(self._incarnation.known())

    async def _follow(self) -> None:
        await self.connect()
        await self._consume()

    async def _consume(self) -> None:
        if self._subscriber is None:
            return
        mine = self._writer is None or await self._writer.held()
        if mine and not self._subscribed:
            await self._subscriber.start()
            self._subscribed = True
        elif not mine:
            await self._unsubscribe()

    async def _unsubscribe(self) -> None:
        if self._subscribed and self._subscriber:
            self._subscribed = False
            await self._subscriber.stop()
