"""The signed trail, put together: where it is written, rebuilt, signed, announced and read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from hulpketen_contracts.trail.errors import TrailError

from services.audit import metrics
from services.audit.announcing import Announcer
from services.audit.checkpoints import CheckpointStore
from services.audit.domain.announcement import STREAM, Signed, announced_checkpoint
from services.audit.domain.entry import Document
from services.audit.place import Place
from services.audit.reading import TrailReader
from services.audit.rebuilding import Rebuild
from services.audit.settings import AuditSettings
from services.audit.signing import Signer
from services.audit.signing_key import LogKey
from services.audit.store import TrailStore
from services.chassis.logs import get_logger
from services.chassis.pipeline.leases import Lease
from services.chassis.service import Service, now

log = get_logger(__name__)


class Trail:
    """Of the generation that the database has at the start. Without a second place nothing is signed."""

    def __init__(self, service: Service, settings: AuditSettings, store: TrailStore, lease: Lease) -> None:
        self._service = service
        self._settings = settings
        self._store = store
        self._lease = lease
        self.checkpoints = CheckpointStore(service.database)
        self.place: Place | None = None
        self.key: LogKey | None = None
        self._signer: Signer | None = None
        self._announcer: Announcer | None = None
        self.reader: TrailReader | None = None
        self.public_keys: list[str] = []

    async def open(self) -> None:
        """Once the database answers. Raises StoreUnavailable."""
        own, generation = self._settings, await self.checkpoints.generation()
        if own.place is None:
            log.warning("trail_unsigned", todo="set AUDIT_PLACE")
            return
        self.key = LogKey(self._service.keys, own.origin, generation)
        former = range(1, generation)
        self.public_keys = [str(LogKey(self._service.keys, own.origin, n).public()) for n in (generation, *former)]
        self.place = Place(own.place, generation)
        self._signer = Signer(
            self.checkpoints,
            self.place,
            self.key,
            self._lease,
            self._announced,
            clock=now,
            every=(own.checkpoint_entries, timedelta(seconds=own.checkpoint_s)),
        )
        self.reader = TrailReader(self.checkpoints, self.place)
        self._announcer = Announcer(
            self._service.store,
            self._service.engine,
            self.newest,
            self.reader.consistency,
            clock=now,
            every=timedelta(seconds=own.announce_s),
        )

    async def rebuild(self) -> None:
        """After a restore, before anything is taken from the topics again."""
        if self.place and self.key:
            await Rebuild(self._store, self.checkpoints, self.place, self.key, now).run()

    def added(self, start: int, entries: Sequence[Document]) -> None:
        """These entries are new, and a majority has them."""
        if self._signer:
            self._signer.fresh.put(start, entries)

    async def step(self) -> None:
        """Sign what is new."""
        if self._signer:
            try:
                await self._signer.step()
            except OSError:
                metrics.place_failures.inc()
                raise

    async def announce(self) -> None:
        """Tell partners of the newest checkpoint, where the trail grew."""
        if self._announcer and await self._lease.held():
            await self._announcer.look()

    async def reach(self) -> int:
        """How many entries were signed, so that there must be as many; 0 where it is known that they are lost."""
        return await reach(self.checkpoints, self.place, self.key)

    async def newest(self) -> Signed | None:
        """The checkpoint over the most entries."""
        last = await self.checkpoints.last()
        return Signed(self.key.origin, last.size, last.text) if last and self.key else None

    async def _announced(self) -> str | None:
        known = (await self._service.store.load([STREAM])).get(STREAM)
        return announced_checkpoint(known["state"] if known else None, self.key.origin if self.key else "")


async def reach(checkpoints: CheckpointStore, place: Place | None, key: LogKey | None) -> int:
    """How many entries must be there, as far as can be seen: a second place that is away or damaged says nothing, since
    entries are added without it, too. Raises StoreUnavailable."""
    if await checkpoints.stopped():
        return 0
    last = await checkpoints.last()
    there = 0
    with suppress(OSError, TrailError):
        if place and key and (text := await asyncio.to_thread(place.checkpoint)):
            there = key.read(text).size
    return max(there, last.size if last else 0)
