"""Where tiles and bundles of entries are found (C2SP `tlog-tiles`), and what a bundle of entries holds."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from hulpketen_contracts.trail.errors import Malformed, TileTruncated
from hulpketen_contracts.trail.tree import TILE_WIDTH

MAX_ENTRY_BYTES = 65_535
ENTRIES = "entries"
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-5]?[1-9]|[1-6]0|6[1-3])/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """What a path names: a tile of a level, or (level None) a bundle of entries; `width` 256 where it is whole."""

    level: int | None
    index: int
    width: int


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a tile: `tile/0/x001/234.p/7`."""
    return f"tile/{level}/{_place(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of a bundle of entries: `tile/entries/x001/234.p/7`."""
    return f"tile/{ENTRIES}/{_place(index, width)}"


def parse_path(path: str) -> TilePath:
    """What a path names. Raises Malformed for any other form than the one that tlog-tiles gives it."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise Malformed("not the path of a tile: tile/<level>/<index>[.p/<width>]")
    level = None if found["level"] == ENTRIES else int(found["level"])
    index = int(found["index"].replace("x", "").replace("/", ""))
    width = int(found["width"] or TILE_WIDTH)
    if width > TILE_WIDTH or _place(index, width) != path.split("/", 2)[2]:
        raise Malformed("not the path of a tile: its index has zeroes in front, or its width is not 1 to 255")
    return TilePath(level, index, width)


def pack(leaves: Iterable[bytes]) -> bytes:
    """A bundle of entries: each after its length in two bytes. Raises Malformed where one has over 65,535 bytes."""
    try:
        return b"".join([part for leaf in leaves for part in (struct.pack(">H", len(leaf)), leaf)])
    except struct.error:
        raise Malformed(f"an entry of the trail has over {MAX_ENTRY_BYTES} bytes") from None


def unpack(bundle: bytes, width: int) -> list[bytes]:
    """The entries of a bundle that should have `width` of them. Raises TileTruncated, and Malformed for too many."""
    leaves, at = [], 0
    for n in range(width):
        start = at + 2
        at = start + int.from_bytes(bundle[start - 2 : start])
        if start > len(bundle) or at > len(bundle):
            raise TileTruncated(f"a bundle of entries ends within its entry {n + 1} of {width}")
        leaves.append(bundle[start:at])
    if at != len(bundle):
        raise Malformed(f"a bundle of {width} entries goes on after the last of them")
    return leaves


def _place(index: int, width: int) -> str:
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups)) + ("" if width == TILE_WIDTH else f".p/{width}")
