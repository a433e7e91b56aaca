"""The Merkle tree of RFC 6962: hashes, checks of proofs, a tree that grows, and proofs from its tiles.

A hash is 32 bytes (SHA-256). A run of hashes is one `bytes` in which they stand one after another: a tree of a million
entries costs no objects. Level l of tiles holds the roots of whole subtrees of 256**l leaves, 256 of them a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from hulpketen_contracts.trail.errors import (
    Malformed,
    NotConsistent,
    NotIncluded,
    RootDiffers,
    TileChanged,
    TileTruncated,
)

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES
EMPTY_ROOT = sha256().digest()

ReadTile = Callable[[int, int, int], bytes]
"""(level, index, width) to the hashes of that tile: width * 32 bytes. A width under 256 asks for a partial tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile, whole or partial: `index` is its place in its level."""

    level: int
    index: int
    hashes: bytes

    @property
    def width(self) -> int:
        """How many hashes it has, 1 to 256."""
        return len(self.hashes) // HASH_BYTES


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of an entry."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: bytes) -> bytes:
    """The root over a run of hashes; empty over none.

    Right for hashes of leaves, and for those of whole subtrees of one size of which the last may be smaller.
    """
    while len(hashes) > HASH_BYTES:
        even = len(hashes) & ~63
        paired = [sha256(b"\x01" + hashes[at : at + 64]).digest() for at in range(0, even, 64)]
        hashes = b"".join(paired) + hashes[even:]
    return hashes


def partial_tiles(size: int) -> list[tuple[int, int, int]]:
    """(level, index, width) of each partial tile of a tree of this size, lowest level first."""
    found, level = [], 0
    while size:
        if width := size % TILE_WIDTH:
            found.append((level, size // TILE_WIDTH, width))
        size, level = size // TILE_WIDTH, level + 1
    return found


class TileTree:
    """A tree that grows by hashes of leaves. It holds the partial tiles alone: 8 KB for each of a few levels."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[bytes] = [b""]

    @classmethod
    def resume(cls, size: int, root: bytes, read: ReadTile) -> TileTree:
        """The tree of this size, from its partial tiles. Raises TileTruncated, RootDiffers, and what `read` raises."""
        tree = cls()
        tree.size = size
        for level, index, width in partial_tiles(size):
            tree._levels += [b""] * (level + 1 - len(tree._levels))
            tree._levels[level] = read_whole(read, level, index, width)
        if tree.root() != root:
            raise RootDiffers(f"the partial tiles are not those of the tree of {size} entries that is known")
        return tree

    def extend(self, leaf_hashes: Iterable[bytes]) -> list[Tile]:
        """Add leaves at the end. The tiles that are whole now and were not before: a higher one after those below."""
        added = b"".join(leaf_hashes)
        if len(added) % HASH_BYTES:
            raise Malformed("a hash of a leaf is not 32 bytes long")
        self.size += len(added) // HASH_BYTES
        whole: list[Tile] = []
        level, index_of_end = 0, self.size
        while added:
            if level == len(self._levels):
                self._levels.append(b"")
            held = self._levels[level] + added
            end = len(held) - len(held) % TILE_BYTES
            self._levels[level] = held[end:]
            index = index_of_end // TILE_WIDTH - end // TILE_BYTES
            tiles = [
                Tile(level, index + n, held[at : at + TILE_BYTES]) for n, at in enumerate(range(0, end, TILE_BYTES))
            ]
            whole += tiles
            added = b"".join([root_of(tile.hashes) for tile in tiles])
            level, index_of_end = level + 1, index_of_end // TILE_WIDTH
        return whole

    def partial(self) -> list[Tile]:
        """The partial tiles of the tree as it is now, lowest level first."""
        return [Tile(level, index, self._levels[level]) for level, index, _ in partial_tiles(self.size)]

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        tail = b""
        for hashes in self._levels:
            tail = root_of(hashes + tail)
        return tail or EMPTY_ROOT


def read_whole(read: ReadTile, level: int, index: int, width: int) -> bytes:
    """The hashes of a tile. Raises TileTruncated where they are not as many as they should be."""
    hashes = read(level, index, width)
    if len(hashes) != width * HASH_BYTES:
        raise TileTruncated(f"tile {index} of level {level} has {len(hashes)} bytes instead of {width * HASH_BYTES}")
    return hashes


class Proofs:
    """Proofs about a tree of a given size, made from its tiles. Each tile is read once."""

    def __init__(self, size: int, read: ReadTile) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def inclusion(self, index: int) -> list[bytes]:
        """The proof that leaf `index` is in the tree: the leaf's sibling first. Raises Malformed, TileTruncated."""
        if not 0 <= index < self._size:
            raise Malformed(f"there is no entry {index} in a tree of {self._size} entries")
        start, end, proof = 0, self._size, []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start = middle
        return proof[::-1]

    def consistency(self, old: int) -> list[bytes]:
        """The proof that this tree goes on from the one with `old` leaves. Raises Malformed, TileTruncated."""
        if not 0 <= old <= self._size:
            raise Malformed(f"a tree of {self._size} entries cannot go on from one of {old}")
        start, end, proof = 0, self._size, []
        if old == 0:
            return []
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start = middle
        return proof[::-1] if start == 0 else [self._hash(start, end), *proof[::-1]]

    def root(self) -> bytes:
        """The root of the tree. Raises TileTruncated."""
        return self._hash(0, self._size) if self._size else EMPTY_ROOT

    def beginning(self, old: int, root: bytes) -> tuple[bytes, list[bytes]]:
        """The root over the first `old` leaves, and the proof that the tree with this root goes on from those.

        Raises TileChanged where the tiles are not those of a tree with this root; Malformed, TileTruncated.
        """
        proof, found = self.consistency(old), self._hash(0, old) if old else EMPTY_ROOT
        try:
            check_consistency(old, found, self._size, root, proof)
        except NotConsistent:
            raise TileChanged(f"the tiles are not those of the tree of {self._size} entries that was signed") from None
        return found, proof

    def leaf(self, index: int) -> bytes:
        """The hash of a leaf. Raises TileTruncated."""
        return self._hash(index, index + 1)

    def _hash(self, start: int, end: int) -> bytes:
        """The root over leaves [start, end), a subtree of RFC 6962."""
        count = end - start
        if count & (count - 1):
            middle = start + _split(count)
            return node_hash(self._hash(start, middle), self._hash(middle, end))
        level, height = divmod(count.bit_length() - 1, TILE_HEIGHT)
        first = start >> (level * TILE_HEIGHT)
        tile = self._tile(level, first // TILE_WIDTH)
        at = first % TILE_WIDTH * HASH_BYTES
        return root_of(tile[at : at + (HASH_BYTES << height)])

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._tiles:
            there = (self._size >> (level * TILE_HEIGHT)) - index * TILE_WIDTH
            self._tiles[level, index] = read_whole(self._read, level, index, min(there, TILE_WIDTH))
        return self._tiles[level, index]


def check_inclusion(size: int, root: bytes, index: int, hashed_leaf: bytes, proof: Sequence[bytes]) -> None:
    """Check that the leaf with this hash is at this place in the tree. Raises NotIncluded. (RFC 9162, 2.1.3.2.)"""
    if not 0 <= index < size:
        raise NotIncluded(f"there is no entry {index} in a tree of {size} entries")
    place, last, found = index, size - 1, hashed_leaf
    for sibling in proof:
        if last == 0:
            raise NotIncluded("the proof of inclusion is longer than this tree is high")
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise NotIncluded("the proof of inclusion is shorter than this tree is high")
    if found != root:
        raise NotIncluded(f"the entry is not number {index} of this tree of {size} entries, or the proof is another's")


def check_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the larger tree goes on from the smaller one. Raises NotConsistent. (RFC 9162, 2.1.4.2.)"""
    if not 0 <= old_size <= size:
        raise NotConsistent(f"a tree of {size} entries cannot go on from one of {old_size}")
    if old_size in (0, size):
        if proof:
            raise NotConsistent(f"from {old_size} to {size} entries there is nothing to prove, and still a proof")
        if (old_size == size and old_root != root) or (not old_size and old_root != EMPTY_ROOT):
            raise NotConsistent(f"two trees of {old_size} entries have different roots")
        return
    if not proof:
        raise NotConsistent(f"there is no proof that the tree of {size} entries goes on from that of {old_size}")
    found_old, found = _both_roots(old_size, old_root, size, proof)
    if found_old != old_root:
        raise NotConsistent(f"the proof of consistency is not one about the tree of {old_size} entries that is known")
    if found != root:
        raise NotConsistent(f"the tree of {size} entries does not go on from that of {old_size}: history was rewritten")


def other_root(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bytes:
    """Another root than `old_root` that this proof shows the first leaves of the larger tree to have; empty: none."""
    if old_size == size:
        return b"" if root == old_root else root
    if not proof or not 0 < old_size < size:
        return b""
    try:
        found_old, found = _both_roots(old_size, old_root, size, proof)
    except NotConsistent:
        return b""
    return b"" if found != root or found_old == old_root else found_old


def _both_roots(old_size: int, old_root: bytes, size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of both trees, as the proof gives them."""
    place, last = old_size - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    # A tree of 2**n leaves is a subtree of every later one: the proof begins at its root, and leaves that out.
    first, *rest = proof if old_size & (old_size - 1) else [old_root, *proof]
    found_old = found = first
    for each in rest:
        if last == 0:
            raise NotConsistent("the proof of consistency is longer than this tree is high")
        if place & 1 or place == last:
            found_old, found = node_hash(each, found_old), node_hash(each, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, each)
        place, last = place >> 1, last >> 1
    if last:
        raise NotConsistent("the proof of consistency is shorter than this tree is high")
    return found_old, found


def _split(count: int) -> int:
    """The largest power of two that is smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)
