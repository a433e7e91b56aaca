"""From outboxes to Kafka: send all in flight, keep what was acknowledged, then clear it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from services.chassis.pipeline.model import Ack, Outgoing, outgoing
from services.chassis.pipeline.ports import Broker, Cleared, Document, Store


class KafkaPublisher:
    """Publishes outboxes to the broker."""

    def __init__(self, store: Store, broker: Broker, incarnation: Callable[[], str]) -> None:
        self._store = store
        self._broker = broker
        self._incarnation = incarnation

    async def publish(self, documents: Sequence[Document]) -> None:
        """Keep goes before clear: what is in neither place could not be published again."""
        incarnation = self._incarnation()  # as known before the send; a later one may not have these records
        records = [outgoing(entry) for document in documents for entry in document["outbox"]]
        acks = await self._broker.send(records)
        kept: list[tuple[Outgoing, Ack]] = []
        cleared: list[Cleared] = []
        results = iter(zip(records, acks, strict=True))
        for document in documents:
            count = len(document["outbox"])
            acknowledged = list(_acknowledged([next(results) for _ in range(count)]))
            if acknowledged:
                kept += acknowledged
                cleared.append(clearing(document, len(acknowledged)))
        if kept:
            await self._store.keep(kept, incarnation)
            await self._store.clear(cleared)


def clearing(document: Document, published: int) -> Cleared:
    """What to clear of this document once the first `published` entries of its outbox are out (at least one)."""
    outbox = document["outbox"]
    return Cleared(document["_id"], document["v"], outbox[published - 1]["seq"], published == len(outbox))


def _acknowledged(results: Sequence[tuple[Outgoing, Ack | None]]) -> Iterator[tuple[Outgoing, Ack]]:
    """An event counts as acknowledged only when all before it in its outbox are."""
    for record, ack in results:
        if ack is None:
            return
        yield record, ack
