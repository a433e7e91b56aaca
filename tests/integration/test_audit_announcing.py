"""Partners are told of each checkpoint once, each time with the proof from the one before, whoever announces it."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hulpketen_contracts import CheckpointPublished, decode
from hulpketen_contracts.trail.errors import TileTruncated
from hulpketen_contracts.trail.tree import Proofs, check_consistency, leaf_hash

from services.audit.announcing import Announcer
from services.audit.domain.announcement import STREAM, Signed
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import outgoing
from services.chassis.pipeline.ports import Document
from services.chassis.service import now
from tests.conftest import Infrastructure
from tests.pipeline.pairs import Stores, stores_in_mongo

SOURCE = "urn:nld:oin:00000099000000000001:systeem:hulpketen-audit"
ORIGIN = "hulpketen.test/audit/1"


class Trail:
    """A tree that grows, and what was published of it."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.published: dict[str, CheckpointPublished] = {}
        self.at = now()
        self.damaged = False

    def proofs(self, size: int) -> Proofs:
        return Proofs(size, lambda level, index, width: b"".join(self.leaves[:width]))

    async def newest(self) -> Signed | None:
        size = len(self.leaves)
        return Signed(ORIGIN, size, f"{ORIGIN}\n{size}\n\n— {ORIGIN} AAAA\n") if size else None

    async def prove(self, old: int, size: int) -> Sequence[bytes]:
        await asyncio.sleep(0)
        if self.damaged:
            raise TileTruncated("a tile is cut short")
        return self.proofs(size).consistency(old)

    async def publish(self, documents: Sequence[Document]) -> None:
        for entry in (entry for document in documents for entry in document["outbox"]):
            event = decode(list(outgoing(entry).headers.items()), outgoing(entry).value)
            assert isinstance(event.data, CheckpointPublished)
            assert self.published.setdefault(event.envelope.id, event.data) == event.data

    def grow(self, by: int) -> None:
        self.leaves += [leaf_hash(b"%d" % n) for n in range(len(self.leaves), len(self.leaves) + by)]

    def sizes(self) -> list[int]:
        return sorted(event.size for event in self.published.values())

    def announcer(self, stores: Stores, every: timedelta = timedelta(0)) -> Announcer:
        async def spawn(work: Coroutine[Any, Any, None]) -> None:
            await work

        engine = Engine(
            stores.store, self, group="audit", source=SOURCE, clock=now, incarnation=lambda: "one", spawn=spawn
        )
        return Announcer(stores.store, engine, self.newest, self.prove, clock=lambda: self.at, every=every)


async def test_two_processes_that_announce_at_once_tell_one_history(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    async with stores_in_mongo(stack_infra, tmp_path) as stores:
        trail = Trail()
        announcers = [trail.announcer(stores) for _ in range(2)]
        await announcers[0].look()
        assert trail.published == {}  # there is nothing to tell
        for grow in (1, 4, 0, 7, 1):
            trail.grow(grow)
            await asyncio.gather(*(each.look() for each in announcers))
        told = sorted(trail.published.values(), key=lambda event: event.size)
        assert [(event.previous_size, event.size) for event in told] == [(0, 1), (1, 5), (5, 12), (12, 13)]
        for event in told:
            if event.previous_size:
                roots = [trail.proofs(size).root() for size in (event.previous_size, event.size)]
                proof = [b64decode(each) for each in event.proof]
                check_consistency(event.previous_size, roots[0], event.size, roots[1], proof)
        held = (await stores.store.load([STREAM]))[STREAM]
        assert held["seq"] == len(told)


async def test_it_announces_as_soon_as_it_can_and_then_not_before_the_time_is_over(
    stack_infra: Infrastructure, tmp_path: Path
) -> None:
    every = timedelta(minutes=15)
    async with stores_in_mongo(stack_infra, tmp_path) as stores:
        trail = Trail()
        announcer = trail.announcer(stores, every)
        await announcer.look()
        trail.grow(3)
        await announcer.look()
        assert trail.sizes() == [3]  # nothing was signed at the first look
        trail.grow(2)
        trail.at += every - timedelta(seconds=1)
        await announcer.look()
        assert trail.sizes() == [3]
        trail.at += timedelta(seconds=1)
        trail.damaged = True
        with pytest.raises(TileTruncated):
            await announcer.look()
        trail.damaged = False
        await announcer.look()
        assert trail.sizes() == [3, 5]
