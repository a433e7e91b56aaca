"""A made-up trail: entries, all files of tlog-tiles about them, and signed checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hulpketen_contracts.trail.checkpoint import Checkpoint, sign_checkpoint
from hulpketen_contracts.trail.errors import TileTruncated
from hulpketen_contracts.trail.leaf import Leaf, leaf_bytes
from hulpketen_contracts.trail.note import Signer
from hulpketen_contracts.trail.tiles import entries_path, pack, tile_path
from hulpketen_contracts.trail.tree import TILE_WIDTH, TileTree, leaf_hash

SIGNER = Signer("trail.example/audit/1", bytes(range(32)))
START = datetime(2026, 11, 1, tzinfo=UTC)


def leaf(n: int, said: str = "") -> bytes:
    """The n-th entry: one an hour."""
    return leaf_bytes(
        Leaf(
            START + timedelta(hours=n),
            "nl.hulpketen.cases.opened.v1",
            "urn:nld:oin:00000001821002193000:systeem:matching",
            "gemeente-assen",
            None,
            f"00000000-0000-4000-8000-{n:012}{said}",
            n.to_bytes(32),
        )
    )


class Made:
    """A trail of these entries, as it is served."""

    def __init__(self, leaves: Sequence[bytes], by: Signer = SIGNER) -> None:
        self.leaves = leaves
        self.by = by
        tree = TileTree()
        whole = tree.extend([leaf_hash(each) for each in leaves])
        self.files = {tile_path(tile.level, tile.index): tile.hashes for tile in whole}
        self.files |= {tile_path(tile.level, tile.index, tile.width): tile.hashes for tile in tree.partial()}
        for at in range(0, len(leaves), TILE_WIDTH):
            part = leaves[at : at + TILE_WIDTH]
            self.files[entries_path(at // TILE_WIDTH, len(part))] = pack(part)
        self.checkpoint = Checkpoint(by.key.name, len(leaves), tree.root())
        self.signed = sign_checkpoint(self.checkpoint, by)

    def read(self, path: str) -> bytes:
        """See verify.Read."""
        if path not in self.files:
            raise TileTruncated(f"{path} is missing")
        return self.files[path]


def made(count: int) -> Made:
    """A trail of so many entries."""
    return Made([leaf(n) for n in range(count)])
