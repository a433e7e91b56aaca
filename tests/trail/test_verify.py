"""A trail is checked whole: nothing in it can be another without being found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hulpketen_contracts.trail.errors import (
    HistoryRewritten,
    Malformed,
    NotIncluded,
    RootDiffers,
    SizeWentBack,
    TileChanged,
    TileTruncated,
    TrailError,
    WrongOrigin,
)
from hulpketen_contracts.trail.leaf import Leaf
from hulpketen_contracts.trail.note import Signer
from hulpketen_contracts.trail.part import Extent, Keys, check_part
from hulpketen_contracts.trail.tiles import entries_path, pack, tile_path, unpack
from hulpketen_contracts.trail.tree import check_consistency
from hulpketen_contracts.trail.verify import TreeCheck, check_goes_on

from tests.trail.made import Made, leaf, made

MADE = made(700)
LARGE = made(65_800)


def test_every_entry_of_a_trail_that_is_right_is_seen_in_order() -> None:
    numbers: list[int] = []

    def seen(first: int, leaves: Sequence[Leaf]) -> None:
        numbers.extend(range(first, first + len(leaves)))
        assert leaves[0].event_id.endswith(f"{first:012}")

    TreeCheck(MADE.checkpoint, MADE.read, seen).run()
    assert numbers == list(range(700))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512])
def test_a_trail_of_any_size_is_checked(size: int) -> None:
    TreeCheck(made(size).checkpoint, made(size).read).run()


def test_every_file_is_looked_at() -> None:
    for trail in (MADE, LARGE):
        looked: set[str] = set()

        def read(path: str, trail: Made = trail, looked: set[str] = looked) -> bytes:
            looked.add(path)
            return trail.read(path)

        TreeCheck(trail.checkpoint, read).run()
        assert looked == set(trail.files)


@pytest.mark.parametrize(
    ("trail", "path", "error"),
    [
        (MADE, tile_path(0, 1), TileChanged),
        (MADE, tile_path(0, 2, 188), RootDiffers),
        (MADE, tile_path(1, 0, 2), RootDiffers),
        (MADE, entries_path(1), TrailError),
        (MADE, entries_path(2, 188), TrailError),
        (LARGE, tile_path(1, 0), TileChanged),
        (LARGE, tile_path(2, 0, 1), RootDiffers),
        (LARGE, tile_path(0, 77), TileChanged),
        (LARGE, tile_path(1, 1, 1), RootDiffers),
    ],
)
def test_a_changed_file_is_named_by_which_check_fails(trail: Made, path: str, error: type[TrailError]) -> None:
    def read(asked: str) -> bytes:
        content = trail.read(asked)
        return content[:9] + bytes([content[9] ^ 1]) + content[10:] if asked == path else content

    with pytest.raises(error):
        TreeCheck(trail.checkpoint, read).run()

    def cut(asked: str) -> bytes:
        return trail.read(asked)[: -1 if asked == path else None]

    with pytest.raises(TileTruncated):
        TreeCheck(trail.checkpoint, cut).run()

    def without(asked: str) -> bytes:
        return trail.read("nothing" if asked == path else asked)

    with pytest.raises(TileTruncated, match="missing"):
        TreeCheck(trail.checkpoint, without).run()


def test_an_entry_that_was_altered_is_named() -> None:
    leaves = unpack(MADE.files[entries_path(1)], 256)
    for altered in (
        [*leaves[:9], leaf(265, "x"), *leaves[10:]],
        [*leaves[:9], leaves[10], leaves[9], *leaves[11:]],
        [*leaves[:9], leaves[8], *leaves[10:]],
    ):

        def read(path: str, altered: list[bytes] = altered) -> bytes:
            return pack(altered) if path == entries_path(1) else MADE.read(path)

        with pytest.raises(NotIncluded, match="entry 265 is not what was signed"):
            TreeCheck(MADE.checkpoint, read).run()


def test_what_was_signed_and_is_no_entry_is_found() -> None:
    trail = Made([leaf(0), b"{}"])
    with pytest.raises(Malformed):
        TreeCheck(trail.checkpoint, trail.read).run()


def test_a_part_is_checked_without_the_entries_of_the_rest() -> None:
    looked: list[str] = []

    def read(path: str) -> bytes:
        looked.append(path)
        return LARGE.read(path)

    TreeCheck(LARGE.checkpoint, read).run(300, 600)
    assert {path for path in looked if "entries" in path} == {entries_path(1), entries_path(2)}
    assert tile_path(1, 0) in looked
    assert tile_path(0, 3) not in looked


def test_a_trail_that_was_rewritten_whole_is_right_in_itself_and_does_not_go_on_from_what_was_kept() -> None:
    other = Made([leaf(n, "x" if n == 17 else "") for n in range(700)])
    TreeCheck(other.checkpoint, other.read).run()
    kept = made(300).signed
    check_goes_on(kept, MADE.signed, [MADE.by.key], MADE.read)
    with pytest.raises(HistoryRewritten) as raised:
        check_goes_on(kept, other.signed, [MADE.by.key], other.read)
    # With what the error holds anybody sees that the two cannot both be true.
    alarm = raised.value
    assert alarm.proven
    assert alarm.root != made(300).checkpoint.root
    check_consistency(300, alarm.root, 700, other.checkpoint.root, alarm.proof)


@pytest.mark.parametrize("kept", [0, 1, 256, 300, 512, 699, 700])
@pytest.mark.parametrize("path", [name for name in MADE.files if "entries" not in name])
def test_a_tile_that_a_disk_spoiled_is_said_to_be_damaged_and_is_no_alarm(path: str, kept: int) -> None:
    for at in (0, len(MADE.files[path]) - 1):
        spoiled = bytearray(MADE.files[path])
        spoiled[at] ^= 1
        files = MADE.files | {path: bytes(spoiled)}
        for known in ([], [made(kept).signed]):
            with pytest.raises((TileChanged, RootDiffers)):
                check_part(MADE.signed, Keys([MADE.by.key]), files.__getitem__, Extent(0, 700), known)


def test_what_cannot_go_on_from_what_was_kept_is_said() -> None:
    keys = [MADE.by.key]
    with pytest.raises(SizeWentBack, match="had 700 entries, and now has 300") as raised:
        check_goes_on(MADE.signed, made(300).signed, keys, made(300).read)
    assert not raised.value.proven
    with pytest.raises(HistoryRewritten, match="does not go on") as same_size:
        check_goes_on(Made([leaf(1)]).signed, made(1).signed, keys, made(1).read)
    assert same_size.value.proven
    elsewhere = Signer("trail.example/audit/2", bytes(32))
    with pytest.raises(WrongOrigin, match="audit/2"):
        check_goes_on(MADE.signed, Made(MADE.leaves, elsewhere).signed, [*keys, elsewhere.key], MADE.read)
