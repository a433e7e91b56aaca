"""The second place as its readers meet it: beside a writer that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hulpketen_contracts.trail.errors import TileTruncated
from hulpketen_contracts.trail.tiles import entries_path, pack, tile_path

from services.audit.place import Place

LEAVES = [b"leaf %d" % n for n in range(256)]
HASHES = b"".join(bytes([n]) * 32 for n in range(256))


class Overtaken(Place):
    """Just before a reader looks for a partial file, a writer has the whole one there and clears the partial ones."""

    def read(self, path: str) -> bytes | None:
        if ".p/" in path:
            whole = path.partition(".p/")[0]
            self.write({whole: pack(LEAVES) if "entries" in path else HASHES})
            self.clear(f"{whole}.p")
        return super().read(path)


def test_a_reader_finds_the_whole_one_where_the_partial_one_goes_meanwhile(tmp_path: Path) -> None:
    place = Overtaken(tmp_path, 1)
    place.write({tile_path(0, 3, 7): HASHES[: 7 * 32], entries_path(3, 7): pack(LEAVES[:7])})
    assert place.tile(0, 3, 7) == HASHES[: 7 * 32]
    assert place.bundle(3, 7) == LEAVES[:7]


def test_what_is_nowhere_is_said_to_be_missing(tmp_path: Path) -> None:
    place = Place(tmp_path, 1)
    with pytest.raises(TileTruncated, match=r"003\.p/7 is missing"):
        place.tile(0, 3, 7)
    with pytest.raises(TileTruncated, match="entries/003 is missing"):
        place.bundle(3)
