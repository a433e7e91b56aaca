"""A whole trail, or a part of it, against a signed checkpoint: every tile, and every entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.errors import HistoryRewritten, NotIncluded, SizeWentBack, TileChanged, WrongOrigin
from hulpketen_contracts.trail.leaf import Leaf, parse_leaf
from hulpketen_contracts.trail.note import VerifierKey
from hulpketen_contracts.trail.tiles import entries_path, tile_path, unpack
from hulpketen_contracts.trail.tree import (
    HASH_BYTES,
    TILE_WIDTH,
    Proofs,
    ReadTile,
    TileTree,
    leaf_hash,
    partial_tiles,
    read_whole,
    root_of,
)

Read = Callable[[str], bytes]
"""A path of tlog-tiles to the file there. Raises TrailError (TileTruncated) where there is none."""

Seen = Callable[[int, Sequence[Leaf]], None]
"""Called with the number of the first of some entries that were right, and those entries."""


def nothing(first: int, leaves: Sequence[Leaf]) -> None:
    """Do nothing with what was right."""


class TreeCheck:
    """Checks a tree from its root down: what is read is compared before anything below it is looked at."""

    def __init__(self, checkpoint: Checkpoint, read: Read, seen: Seen = nothing) -> None:
        """`checkpoint`: its signature was checked before."""
        self._checkpoint = checkpoint
        self._read = read
        self._seen = seen

    def run(self, first: int = 0, end: int | None = None) -> None:
        """Check all tiles but those of level 0, and tiles and entries from number `first` to before `end`.

        Raises: RootDiffers, TileChanged, TileTruncated, NotIncluded (an entry is another), Malformed; what `read` does.
        """
        size = self._checkpoint.size
        self._range = (first, size if end is None else end)
        # The partial tiles make up the root, and each whole tile is below one of them.
        TileTree.resume(size, self._checkpoint.root, self._tile)
        for level, index, width in reversed(partial_tiles(size)):
            self._below(level, index, self._tile(level, index, width))

    def _below(self, level: int, index: int, hashes: bytes) -> None:
        """Check what is below a tile that is right."""
        if level == 0:
            if self._wanted(index):
                self._entries(index, hashes)
            return
        for n in range(len(hashes) // HASH_BYTES):
            below = index * TILE_WIDTH + n
            if level == 1 and not self._wanted(below):
                continue
            tile = self._tile(level - 1, below, TILE_WIDTH)
            if root_of(tile) != hashes[n * HASH_BYTES : (n + 1) * HASH_BYTES]:
                raise TileChanged(f"{tile_path(level - 1, below)} is not what was signed")
            self._below(level - 1, below, tile)

    def _entries(self, index: int, hashes: bytes) -> None:
        width, start = len(hashes) // HASH_BYTES, index * TILE_WIDTH
        leaves = unpack(self._read(entries_path(index, width)), width)
        for n, leaf in enumerate(leaves):
            if leaf_hash(leaf) != hashes[n * HASH_BYTES : (n + 1) * HASH_BYTES]:
                raise NotIncluded(f"entry {start + n} is not what was signed")
        self._seen(start, [parse_leaf(leaf) for leaf in leaves])

    def _wanted(self, index: int) -> bool:
        first, end = self._range
        return index * TILE_WIDTH < end and (index + 1) * TILE_WIDTH > first

    def _tile(self, level: int, index: int, width: int) -> bytes:
        return read_whole(by_path(self._read), level, index, width)


def by_path(read: Read) -> ReadTile:
    """Tiles, as proofs ask for them, from where paths are read."""
    return lambda level, index, width: read(tile_path(level, index, width))


def check_goes_on(kept: str, shown: str, keys: Sequence[VerifierKey], read: Read) -> int:
    """Check that a signed checkpoint goes on from one that was kept, by its tiles, which are themselves checked. How
    many entries the kept one is over.

    Raises: HistoryRewritten (SizeWentBack where it is shorter), with what proves it; TileChanged, TileTruncated,
    UnknownKey, SignatureForged, WrongOrigin, Malformed; what `read` raises.
    """
    old, new = open_checkpoint(kept, keys), open_checkpoint(shown, keys)
    if old.origin != new.origin:
        raise WrongOrigin(f"the checkpoint is of {new.origin}; the kept one is of {old.origin}")
    if new.size < old.size:
        raise SizeWentBack(f"the trail had {old.size} entries, and now has {new.size}", kept, shown)
    root, proof = Proofs(new.size, by_path(read)).beginning(old.size, new.root)
    if root != old.root:
        what = f"the tree of {new.size} entries does not go on from that of {old.size}: history was rewritten"
        raise HistoryRewritten(what, kept, shown, root, proof)
    return old.size
