"""Follows which broker this is, and keeps producer and subscription on it."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.errors import KafkaError
from hulpketen_contracts import TOPICS

from services.chassis.kafka import KafkaAdmin, KafkaProducer, KafkaSubscriber
from services.chassis.logs import get_logger
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.leases import Lease

log = get_logger(__name__)


def chain_topics() -> Iterable[str]:
    """The topics of the chain; those of partners are made by who sends to them."""
    return (name for name in TOPICS if "{" not in name)


class BrokerWatch:
    """Call `check` again and again. A broker with another cluster id has lost its log: make the topics, subscribe
    afresh. With a `writer` lease only its holder consumes."""

    def __init__(
        self,
        incarnation: Incarnation,
        admin: KafkaAdmin,
        producer: KafkaProducer,
        subscriber: KafkaSubscriber | None,
        writer: Lease | None,
    ) -> None:
        self._incarnation = incarnation
        self._admin = admin
        self._producer = producer
        self._subscriber = subscriber
        self._writer = writer
        self._topics_made = False
        self._subscribed = False
        self.present = False

    @property
    def consuming(self) -> bool:
        """Whether the consume loop goes on, or rightly does not: there is none, or another process writes."""
        standby = self._writer is not None and self._writer.fence is None
        return self._subscriber is None or standby or (self._subscribed and self._subscriber.assigned)

    async def check(self) -> None:
        """One look at the broker. Its absence is no error here: `present` says it. Raises StoreUnavailable."""
        try:
            await self._follow()
        except (KafkaError, OSError, TimeoutError) as error:
            if self.present:
                log.warning("broker_away", error=error)
            self.present = False
        else:
            self.present = True

    async def stop(self) -> None:
        """Let the batch at hand finish, and disconnect."""
        await self._unsubscribe()
        await self._producer.stop()
        await self._admin.close()

    async def _follow(self) -> None:
        if await self._incarnation.check():
            log.info("broker_incarnation", cluster=self._incarnation.known())
            self._topics_made = False
            await self._unsubscribe()
        if not self._topics_made:
            await self._admin.make_topics(chain_topics())
            self._topics_made = True
        if self._producer.cluster != self._incarnation.known():
            await self._producer.start(self._incarnation.known())
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
