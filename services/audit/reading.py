"""The signed trail as others read it: tiles, bundles and proofs, as far as it is signed and no further."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from hulpketen_contracts.trail.errors import TileTruncated
from hulpketen_contracts.trail.tiles import TilePath, pack
from hulpketen_contracts.trail.tree import (
    HASH_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Proofs,
    ReadTile,
    check_inclusion,
    leaf_hash,
)

from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.domain.entry import Document
from services.audit.domain.leaves import leaf_of
from services.audit.place import Place

Answer = TypeVar("Answer")
_HELD_TILES = 512  # of 8 KB


class NotSigned(Exception):
    """It is not there, or not signed yet; the text says which, and names the size that is signed."""


class TrailReader:
    """Every method raises NotSigned, StoreUnavailable; and TrailError or OSError where the second place is damaged."""

    def __init__(self, checkpoints: CheckpointStore, place: Place) -> None:
        self._checkpoints = checkpoints
        self._place = place
        self._whole_tile = lru_cache(_HELD_TILES)(place.tile)

    async def newest(self) -> Kept:
        """The checkpoint over the most entries."""
        last = await self._checkpoints.last()
        if last is None:
            raise NotSigned("Nothing was signed yet.")
        return last

    async def file(self, path: TilePath) -> bytes:
        """A tile, or a bundle of entries where its level is None."""
        size = (await self.newest()).size
        end = path.index * TILE_WIDTH + path.width
        if end > size >> TILE_HEIGHT * (path.level or 0):
            raise NotSigned(f"It is beyond the {size} entries that are signed.")
        if path.level is None:
            return await self._bundle(path)
        level = path.level
        return await self._beside(lambda: self._tiles(size)(level, path.index, path.width))

    async def _bundle(self, path: TilePath) -> bytes:
        """From the database, which auditors search: what is signed then speaks for what they see."""
        start = path.index * TILE_WIDTH
        entries = await self._checkpoints.leaves(start, path.width)
        if len(entries) < path.width:
            raise TileTruncated(f"{path.width - len(entries)} entries are missing after number {start}")
        return pack([leaf_of(entry) for entry in entries])

    async def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the tree of `size` goes on from that of `old` entries, where old <= size.

        It is looked at before it is given: to a partner a wrong one is the alarm that history was rewritten.
        """
        signed = await self._signed(size)

        def prove() -> list[bytes]:
            proofs, root = self._proofs(signed, size)
            return proofs.beginning(old, root)[1]

        return await self._beside(prove)

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that an entry is in the tree of `size`, where index < size."""
        signed = await self._signed(size)

        def prove() -> list[bytes]:
            proofs, root = self._proofs(signed, size)
            proof = proofs.inclusion(index)
            check_inclusion(size, root, index, proofs.leaf(index), proof)
            return proof

        return await self._beside(prove)

    async def prove(self, entry: Document) -> tuple[Kept, list[bytes]]:
        """The newest checkpoint, and the proof that it is over this entry: looked at before it is given."""
        last, index = await self.newest(), entry["_id"]
        if index >= last.size:
            raise NotSigned(f"It is entry {index}, and {last.size} are signed yet: ask again in a minute.")
        proof = await self._beside(lambda: Proofs(last.size, self._tiles(last.size)).inclusion(index))
        check_inclusion(last.size, last.root, index, leaf_hash(leaf_of(entry)), proof)
        return last, proof

    async def _signed(self, size: int) -> Kept:
        """The newest checkpoint, which is over at least so many."""
        last = await self.newest()
        if size > last.size:
            raise NotSigned(f"{last.size} entries are signed, and not {size}.")
        return last

    def _proofs(self, signed: Kept, size: int) -> tuple[Proofs, bytes]:
        """Those of the tree of `size`, and its root, which the signed one goes on from."""
        tiles = self._tiles(signed.size)
        if size == signed.size:
            return Proofs(size, tiles), signed.root
        return Proofs(size, tiles), Proofs(signed.size, tiles).beginning(size, signed.root)[0]

    def _tiles(self, signed: int) -> ReadTile:
        """The tiles of any tree up to the `signed` one, of which alone the partial tiles are surely there."""

        def read(level: int, index: int, width: int) -> bytes:
            there = min(TILE_WIDTH, (signed >> TILE_HEIGHT * level) - index * TILE_WIDTH)
            tile = self._whole_tile if there == TILE_WIDTH else self._place.tile
            return tile(level, index, there)[: width * HASH_BYTES]

        return read

    async def _beside(self, read: Callable[[], Answer]) -> Answer:
        return await asyncio.to_thread(read)


def texts(hashes: list[bytes]) -> list[str]:
    """Hashes as base64."""
    return [b64encode(each).decode() for each in hashes]
