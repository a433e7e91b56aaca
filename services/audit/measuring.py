"""How the trail fares: what waits to be signed, and who vouches for how much."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.audit import metrics
from services.audit.checkpoints import CheckpointStore
from services.audit.store import TrailStore
from services.audit.witnesses import Witnesses
from services.chassis.pipeline.leases import Lease

EVERY_S = 10.0
# A witness that has not vouched for so long is behind, where there was something to vouch for.
_BEHIND = timedelta(days=1)


class Measuring:
    """Call `look` again and again: the holder of the writer's lease tells, the other processes say 0."""

    def __init__(
        self,
        store: TrailStore,
        checkpoints: CheckpointStore,
        witnesses: Witnesses,
        lease: Lease,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._witnesses = witnesses
        self._lease = lease
        self._clock = clock
        self._since = clock()

    async def look(self) -> None:
        """Raises StoreUnavailable."""
        if self._lease.fence is None:
            for gauge in (metrics.unsigned, metrics.unsigned_seconds, metrics.checkpoint_age, *_OF_WITNESSES):
                gauge.set(0)
            return
        last = await self._checkpoints.last()
        size = last.size if last else 0
        signed_at = await self._checkpoints.signed_at(size)
        # Where nothing was ever signed, the time since the start has to do.
        age = (self._clock() - (signed_at or self._since)).total_seconds()
        waiting = max(0, await self._store.end() - size)
        metrics.unsigned.set(waiting)
        metrics.unsigned_seconds.set(age if waiting else 0)
        metrics.checkpoint_age.set(age if signed_at else 0)
        await self._of_witnesses(size)

    async def _of_witnesses(self, size: int) -> None:
        found = await self._witnesses.all()
        late = self._clock() - _BEHIND
        behind = [
            each
            for each in found
            if (each.last.size < size and each.last.at < late if each.last else size and each.key.since < late)
        ]
        metrics.witnesses.set(len(found))
        metrics.witnesses_behind.set(len(behind))
        metrics.cosigned.set(max((each.last.size for each in found if each.last), default=0))


_OF_WITNESSES = (metrics.witnesses, metrics.witnesses_behind, metrics.cosigned)
