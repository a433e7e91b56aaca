"""The trail is signed: entries that a majority has, then tiles in the second place, then a checkpoint over them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from hulpketen_contracts.trail.errors import NotConsistent, TrailError
from hulpketen_contracts.trail.tree import Proofs, check_consistency

from services.audit import metrics
from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.domain.entry import Document
from services.audit.domain.leaves import leaf_of
from services.audit.events import WriterLease
from services.audit.growth import Growth
from services.audit.place import Place
from services.chassis.logs import get_logger
from services.chassis.pipeline.errors import LeaseLost

log = get_logger(__name__)
_AT_ONCE = 4_096
_MOST_FRESH = 20_000


class Differs(Exception):
    """The entries are not those that were signed before: nothing may be signed until somebody has looked at it."""


class AnotherSigns(LeaseLost):
    """Another process signed meanwhile: what is known here is not the end of the trail any more."""


class SigningKey(Protocol):
    """What signs checkpoints, and knows its own signature."""

    def sign(self, size: int, root: bytes) -> str:
        """The signed note of a tree."""

    def read(self, text: str) -> Kept:
        """Such a note, after its signature was checked. Raises TrailError."""


class Fresh:
    """Leaves that were just added, so that they need not be read again; those that nobody took in time are read."""

    def __init__(self) -> None:
        self._start = 0
        self._leaves: list[bytes] = []

    def put(self, start: int, entries: Sequence[Document]) -> None:
        """Entries that a majority has, from number `start` on."""
        if start != self._start + len(self._leaves) or len(self._leaves) > _MOST_FRESH:
            self._start, self._leaves = start, []
        self._leaves += [leaf_of(entry) for entry in entries]

    def take(self, start: int) -> list[bytes]:
        """Those from number `start` on, and no longer those before; empty where that one is not among them."""
        if not self._start <= start < self._start + len(self._leaves):
            return []
        self._leaves, self._start = self._leaves[start - self._start :], start
        return self._leaves[:_AT_ONCE]


class Signer:
    """Call `step` again and again: it signs in the process that holds the writer's lease, beside the appends.

    The tree, its tiles and the checkpoints come from the entries alone, and come out the same when they are made
    again: after a failure it forgets what it knows, and goes on from the last checkpoint that is kept.
    """

    def __init__(
        self,
        store: CheckpointStore,
        place: Place,
        key: SigningKey,
        lease: WriterLease,
        announced: Callable[[], Awaitable[str | None]],
        *,
        clock: Callable[[], datetime],
        every: tuple[int, timedelta],
    ) -> None:
        """`announced` gives the checkpoint that partners were told of last; `every`: after how many entries, and how
        long after the last one, the next checkpoint is signed."""
        self._store = store
        self._place = place
        self._key = key
        self._lease = lease
        self._announced = announced
        self._clock = clock
        self._most, self._time = every
        self._one_at_a_time = asyncio.Lock()
        self._fence: int | None = None
        self._looked_over: int | None = None  # the fence under which every tile was looked at: once is enough
        self._growth: Growth | None = None
        self._last: Kept | None = None
        self.fresh = Fresh()
        self._at = datetime.min.replace(tzinfo=UTC)
        self.stopped = ""  # why nothing is signed, and by this process never will be

    async def step(self) -> None:
        """Take the entries that came since, and sign where it is time. Raises StoreUnavailable, OSError."""
        async with self._one_at_a_time:
            await self._step()

    async def _step(self) -> None:
        if self.stopped or not await self._lease.held():
            self._growth = None
            return
        try:
            await self._go_on()
        except Differs as error:
            self._growth, self.stopped = None, str(error)
            metrics.signing_stopped.set(1)
            log.error("trail_differs", what=self.stopped, todo="find out why: docs/operations/restore.md")
        except BaseException:
            self._growth = None
            raise

    async def _go_on(self) -> None:
        if self._growth is None or self._fence != self._lease.fence:
            self._fence = self._lease.fence
            self._growth = await self._take_over()
        growth = self._growth
        while leaves := self.fresh.take(growth.size) or await self._leaves(growth.size, _AT_ONCE):
            await asyncio.to_thread(growth.grow, leaves)
            if self._new(growth) >= self._most:
                await self._sign(growth)
        if self._new(growth) and self._clock() - self._at >= self._time:
            await self._sign(growth)

    async def _leaves(self, start: int, count: int) -> list[bytes]:
        """Read them. Raises Differs where one is missing."""
        entries = await self._store.leaves(start, count)
        if [entry["_id"] for entry in entries] != list(range(start, start + len(entries))):
            raise Differs(f"an entry is missing after number {start}")
        return [leaf_of(entry) for entry in entries]

    def _new(self, growth: Growth) -> int:
        return growth.size - (self._last.size if self._last else 0)

    async def _sign(self, growth: Growth) -> None:
        root = await asyncio.to_thread(growth.settle)
        signed = Kept(growth.size, root, self._key.sign(growth.size, root))
        previous = self._last.size if self._last else 0
        if not await self._store.add(signed, previous, self._clock()):
            raise AnotherSigns(f"another checkpoint follows that of {previous} entries")
        self._last, self._at = signed, self._clock()
        await self._put(signed)
        metrics.signed.set(signed.size)

    async def _put(self, signed: Kept) -> None:
        await asyncio.to_thread(
            self._place.put_checkpoint, signed.text, lambda there: self._key.read(there).size < signed.size
        )

    # Where it goes on

    async def _take_over(self) -> Growth:
        # In this order: a former holder may sign meanwhile, and what it signs is in the database before anywhere else.
        known = await self._known()
        self._last = last = await self._store.last()
        unkept = await self._compare(known, last)
        if last is None:
            return Growth(self._place)
        looked_over = self._fence is not None and self._looked_over == self._fence
        try:
            growth = await asyncio.to_thread(Growth.load, self._place, last.size, last.root, every_tile=not looked_over)
        except TrailError as damage:
            log.warning("tiles_written_again", why=str(damage))
            growth = await self._written_again(last)
        if not looked_over:
            for where, checkpoint in unkept:
                await asyncio.to_thread(self._prove, where, checkpoint, last)
            self._looked_over = self._fence
        await self._put(last)
        return growth

    async def _known(self) -> list[tuple[str, Kept]]:
        """Whatever else is known to have been signed, and where. Raises Differs."""
        if why := await self._store.stopped():
            raise Differs(why)
        if await asyncio.to_thread(self._place.newest) > self._place.generation:
            raise Differs("the second place has a newer log")
        there = await asyncio.to_thread(self._place.checkpoint)
        known = []
        for where, text in (("the second place", there), ("what was announced", await self._announced())):
            if text is None:
                continue
            try:
                known.append((where, self._key.read(text)))
            except TrailError as error:
                raise Differs(f"the checkpoint of {where}: {error}") from error
        return known

    async def _compare(self, known: Sequence[tuple[str, Kept]], last: Kept | None) -> list[tuple[str, Kept]]:
        """Those that the database does not have, and yet may: they are smaller than its last. Raises Differs."""
        unkept = []
        for where, checkpoint in known:
            if checkpoint.size > (last.size if last else 0):
                raise Differs(f"{where} has a checkpoint of {checkpoint.size} entries that the database does not have")
            mine = await self._store.of(checkpoint.size)
            if mine is None:
                unkept.append((where, checkpoint))
            elif mine.root != checkpoint.root:
                raise Differs(f"{where} has another root at {checkpoint.size} entries")
        return unkept

    def _prove(self, where: str, known: Kept, last: Kept) -> None:
        """By the tiles: after a restore the database lacks checkpoints between its own last and the second place's."""
        proof = Proofs(last.size, self._place.tile).consistency(known.size)
        try:
            check_consistency(known.size, known.root, last.size, last.root, proof)
        except NotConsistent as error:
            raise Differs(f"{where} has another root at {known.size} entries") from error

    async def _written_again(self, last: Kept) -> Growth:
        """All tiles, from the entries; those that are there are left as they are until the root is seen to be right."""
        for growth in (Growth(None), Growth(self._place)):
            while growth.size < last.size:
                leaves = await self._leaves(growth.size, min(_AT_ONCE, last.size - growth.size))
                if not leaves:
                    raise Differs(f"{last.size} entries were signed, and {growth.size} are there")
                await asyncio.to_thread(growth.grow, leaves)
            if await asyncio.to_thread(growth.settle) != last.root:
                raise Differs(f"the entries have another root at {last.size} entries than was signed")
        return growth
