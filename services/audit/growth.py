"""The tree as it stands in the second place, and how it grows: tiles, bundles, and what a checkpoint needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hulpketen_contracts.trail.errors import TileChanged
from hulpketen_contracts.trail.tiles import entries_path, pack, tile_path
from hulpketen_contracts.trail.tree import TILE_WIDTH, TileTree, leaf_hash, root_of

from services.audit.place import Place


class Growth:
    """Everything here blocks: call it beside the event loop, one call at a time.

    After an error it is of no use any more: load another one.
    """

    def __init__(self, place: Place | None) -> None:
        """A tree of no leaves; without a place it only finds the root."""
        self._place = place
        self._tree = TileTree()
        self._rest: list[bytes] = []  # leaves of the bundle that is not full yet
        self._settled = 0  # the size for which the partial files were written last

    @classmethod
    def load(cls, place: Place, size: int, root: bytes, *, every_tile: bool = True) -> Growth:
        """The tree of this size as its files have it. Raises TrailError, OSError.

        `every_tile`: look at all of them, and all bundles; otherwise only at the partial ones, which lead to the root.
        """
        growth = cls(place)
        if every_tile:
            _check_tiles(place, size)
        growth._tree = TileTree.resume(size, root, place.tile)
        growth._rest = place.bundle(size // TILE_WIDTH, size % TILE_WIDTH) if size % TILE_WIDTH else []
        growth._settled = size
        return growth

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return self._tree.size

    def grow(self, leaves: Sequence[bytes]) -> None:
        """Add leaves, and write the tiles and bundles that became full by them. Raises OSError."""
        number, self._rest = self.size // TILE_WIDTH, [*self._rest, *leaves]
        tiles = self._tree.extend([leaf_hash(leaf) for leaf in leaves])
        files = {tile_path(tile.level, tile.index): tile.hashes for tile in tiles}
        while len(self._rest) >= TILE_WIDTH:
            files[entries_path(number)] = pack(self._rest[:TILE_WIDTH])
            number, self._rest = number + 1, self._rest[TILE_WIDTH:]
        if files and self._place:
            self._place.write(files)

    def settle(self) -> bytes:
        """Write the partial tiles and the partial bundle of this size; the root. Raises OSError."""
        if self._place:
            self._settle(self._place)
        return self._tree.root()

    def _settle(self, place: Place) -> None:
        files = {tile_path(tile.level, tile.index, tile.width): tile.hashes for tile in self._tree.partial()}
        if self._rest:
            files[entries_path(self.size // TILE_WIDTH, len(self._rest))] = pack(self._rest)
        place.write(files)
        for path in _full_now(self._settled, self.size):
            place.clear(f"{path}.p")
        self._settled = self.size


def stored_leaves(place: Place, start: int, size: int) -> Iterator[list[bytes]]:
    """The leaves from number `start` up to `size`, a bundle at a time. Raises TrailError, OSError."""
    for number, width in _widths(size):
        if (number + 1) * TILE_WIDTH > start:
            yield place.bundle(number, width)[max(0, start - number * TILE_WIDTH) :]


def _full_now(before: int, size: int) -> Iterator[str]:
    """What was partial at a former size, and is full."""
    level = 0
    while before:
        number, before, size = before // TILE_WIDTH, before // TILE_WIDTH, size // TILE_WIDTH
        if size > number:
            yield tile_path(level, number)
            if not level:
                yield entries_path(number)
        level += 1


def _check_tiles(place: Place, size: int) -> None:
    """Each bundle against its tile, and each tile against those below it."""
    below: list[bytes] = []
    for number, width in _widths(size):
        tile = place.tile(0, number, width)
        if b"".join([leaf_hash(leaf) for leaf in place.bundle(number, width)]) != tile:
            raise TileChanged(f"{entries_path(number)} or {tile_path(0, number)}: one is not of the other")
        below += [root_of(tile)] if width == TILE_WIDTH else []
    level = 1
    while below:
        above = []
        for number, width in _widths(len(below)):
            tile = b"".join(below[number * TILE_WIDTH : number * TILE_WIDTH + width])
            if place.tile(level, number, width) != tile:
                raise TileChanged(f"{tile_path(level, number)} is not of the tiles below it")
            above += [root_of(tile)] if width == TILE_WIDTH else []
        level, below = level + 1, above


def _widths(size: int) -> Iterator[tuple[int, int]]:
    """The tiles over so many hashes: number and width of each."""
    for number in range(-(-size // TILE_WIDTH)):
        yield number, min(TILE_WIDTH, size - number * TILE_WIDTH)
