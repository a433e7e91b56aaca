"""Paths of tiles and bundles of entries, as tlog-tiles writes them."""

from __future__ import annotations

import pytest
from hulpketen_contracts.trail.errors import Malformed, TileTruncated
from hulpketen_contracts.trail.tiles import TilePath, entries_path, pack, parse_path, tile_path, unpack
from hypothesis import given
from hypothesis import strategies as st


def test_an_index_is_written_in_groups_of_three() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(63, 0, 7) == "tile/63/000.p/7"
    assert entries_path(999) == "tile/entries/999"
    assert entries_path(1000, 255) == "tile/entries/x001/000.p/255"


@given(st.integers(0, 63), st.integers(0, 10**15), st.integers(1, 256))
def test_a_path_is_read_as_it_was_written(level: int, index: int, width: int) -> None:
    assert parse_path(tile_path(level, index, width)) == TilePath(level, index, width)
    assert parse_path(entries_path(index, width)) == TilePath(None, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/0/0",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/001",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/000.p/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/../000",
        "tile/0/٠٠٠",
        "tile/0/000\n",
        "",
    ],
)
def test_no_other_form_is_a_path(path: str) -> None:
    with pytest.raises(Malformed):
        parse_path(path)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_gives_its_entries_back(leaves: list[bytes]) -> None:
    bundle = pack(leaves)
    assert unpack(bundle, len(leaves)) == leaves
    with pytest.raises(TileTruncated, match="ends within its entry"):
        unpack(bundle[:-1], len(leaves))
    with pytest.raises(TileTruncated):
        unpack(bundle, len(leaves) + 1)
    with pytest.raises(Malformed, match="goes on after the last"):
        unpack(bundle + b"\0", len(leaves))


def test_the_length_of_an_entry_stands_before_it_in_two_bytes() -> None:
    assert pack([b"", b"ab"]) == b"\0\0\0\2ab"
    assert unpack(pack([b"x" * 65_535]), 1) == [b"x" * 65_535]
    with pytest.raises(Malformed, match="over 65535 bytes"):
        pack([b"x" * 65_536])
