"""After a restore from a backup: what the database lacks and the second place has is taken from there, first of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import islice

from hulpketen_contracts.trail.errors import TrailError

from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.domain.entry import Document
from services.audit.domain.leaves import entry_of, leaf_of
from services.audit.growth import Growth, stored_leaves
from services.audit.place import Place
from services.audit.signing import SigningKey
from services.audit.store import AnotherWrites, TrailStore
from services.chassis.logs import get_logger

log = get_logger(__name__)
_BUNDLES = 8


class Unproven(TrailError):
    """The second place cannot vouch for the trail."""


class Rebuild:
    """Entries come back with their numbers and leaves; their contents when their events are read again.

    Where the second place cannot vouch for all that was signed, nothing more is signed until somebody decides.
    Doing it again changes nothing.
    """

    def __init__(
        self, trail: TrailStore, store: CheckpointStore, place: Place, key: SigningKey, clock: Callable[[], datetime]
    ) -> None:
        self._trail = trail
        self._store = store
        self._place = place
        self._key = key
        self._clock = clock

    async def run(self) -> None:
        """Before anything is taken from the topics again. Raises StoreUnavailable, OSError."""
        last = await self._store.last()
        try:
            there = await asyncio.to_thread(self._read)
            if last and (there is None or there.size < last.size):
                raise Unproven("the second place does not reach the last checkpoint of the backup")
            if there:
                await self._take(there, last.size if last else 0)
        except TrailError as error:
            log.error("trail_not_rebuilt", why=str(error))
            await self._store.stop(f"after the restore: {error}")

    def _read(self) -> Kept | None:
        """The checkpoint there, whose whole tree was looked at."""
        if self._place.newest() > self._place.generation:
            raise Unproven("the second place has a newer log than the backup")
        text = self._place.checkpoint()
        if text is None:
            return None
        kept = self._key.read(text)
        Growth.load(self._place, kept.size, kept.root)
        return kept

    async def _take(self, there: Kept, signed: int) -> None:
        """Compare what the database has, and add the rest."""
        size, rebuilt = 0, 0
        bundles = stored_leaves(self._place, 0, there.size)
        while group := await asyncio.to_thread(lambda: list(islice(bundles, _BUNDLES))):
            leaves = [leaf for bundle in group for leaf in bundle]
            known = [leaf_of(entry) for entry in await self._store.leaves(size, len(leaves))]
            if known != leaves[: len(known)]:
                raise Unproven(f"the second place has other entries than the backup, from number {size} on")
            fresh = [entry_of(leaf, size + n) for n, leaf in enumerate(leaves) if n >= len(known)]
            if fresh:
                await self._add(fresh)
            size, rebuilt = size + len(leaves), rebuilt + len(fresh)
        if there.size > signed:
            await self._store.add(there, signed, self._clock())
        log.info("trail_rebuilt", entries=rebuilt, size=there.size)

    async def _add(self, entries: list[Document]) -> None:
        try:
            added = await self._trail.append(entries)
        except AnotherWrites as error:
            raise Unproven("another process writes meanwhile") from error
        if added < len(entries):
            raise Unproven("an event of the second place stands elsewhere in the backup")
