"""RFC 6962, section 2.1, written down as it stands there: slow, and plainly right. And trees in memory for tests."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

from hulpketen_contracts.trail.tree import TileTree, leaf_hash

Hashes = tuple[bytes, ...]


def entry(n: int) -> bytes:
    """The n-th entry of the trees of these tests."""
    return b"entry %d" % n


def hashed(count: int) -> list[bytes]:
    """The hashes of so many entries."""
    return [leaf_hash(entry(n)) for n in range(count)]


@cache
def mth(leaves: Hashes) -> bytes:
    """MTH(D[n]), over hashes of leaves."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Hashes) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Hashes, whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b); PROOF(m, D[n]) where b is true."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


class Tiles:
    """All tiles of a tree as it grew, as a log serves them: whole ones, and the partial ones of the last size."""

    def __init__(self, count: int, step: int = 1000) -> None:
        self.tree = TileTree()
        self.whole: dict[tuple[int, int], bytes] = {}
        leaves = hashed(count)
        for at in range(0, count, step):
            self.whole |= {(tile.level, tile.index): tile.hashes for tile in self.tree.extend(leaves[at : at + step])}
        self.partial = {(tile.level, tile.index): tile.hashes for tile in self.tree.partial()}

    def read(self, level: int, index: int, width: int) -> bytes:
        """See ReadTile."""
        held = self.whole.get((level, index)) or self.partial[level, index]
        return held[: width * 32]
