"""The tree is that of RFC 6962, its tiles are those of tlog-tiles, and no proof but the right one is taken."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hulpketen_contracts.trail.errors import (
    Malformed,
    NotConsistent,
    NotIncluded,
    RootDiffers,
    TileTruncated,
    TrailError,
)
from hulpketen_contracts.trail.tree import (
    EMPTY_ROOT,
    Proofs,
    TileTree,
    check_consistency,
    check_inclusion,
    leaf_hash,
    partial_tiles,
    root_of,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.trail.reference import Tiles, hashed, mth, path, subproof

MOST = 300
LEAVES = tuple(hashed(MOST))
TILES = Tiles(MOST)
EDGES = (255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537)

# The eight entries and the roots over the first 1 to 8 of them that implementations of RFC 6962 test with.
VECTORS = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# index, size, proof; and old size, size, proof.
INCLUSION = (
    (0, 1, ()),
    (
        0,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        5,
        8,
        (
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (2, 3, ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",)),
    (
        1,
        5,
        (
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
)
CONSISTENCY = (
    (1, 1, ()),
    (
        1,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        6,
        8,
        (
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (
        2,
        5,
        (
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
)


def unhex(texts: tuple[str, ...]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def test_the_tree_has_the_roots_that_others_have() -> None:
    tree = TileTree()
    assert tree.root() == EMPTY_ROOT
    for data, root in zip(unhex(VECTORS), unhex(ROOTS), strict=True):
        tree.extend([leaf_hash(data)])
        assert tree.root() == root


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_proofs_of_inclusion_of_others_are_taken(index: int, size: int, proof: tuple[str, ...]) -> None:
    hashed_leaf, root = leaf_hash(bytes.fromhex(VECTORS[index])), bytes.fromhex(ROOTS[size - 1])
    check_inclusion(size, root, index, hashed_leaf, unhex(proof))


@pytest.mark.parametrize(("old", "size", "proof"), CONSISTENCY)
def test_proofs_of_consistency_of_others_are_taken(old: int, size: int, proof: tuple[str, ...]) -> None:
    check_consistency(old, bytes.fromhex(ROOTS[old - 1]), size, bytes.fromhex(ROOTS[size - 1]), unhex(proof))


def test_a_tree_that_grows_has_the_root_of_the_rfc_at_every_size() -> None:
    tree = TileTree()
    for size, hashed_leaf in enumerate(LEAVES, 1):
        tree.extend([hashed_leaf])
        assert tree.size == size
        assert tree.root() == mth(LEAVES[:size]) == root_of(b"".join(LEAVES[:size]))


def test_proofs_from_tiles_are_those_of_the_rfc() -> None:
    for size in range(1, MOST + 1):
        leaves, proofs = LEAVES[:size], Proofs(size, TILES.read)
        assert proofs.root() == mth(leaves)
        for index in {*range(0, size, 7), size - 1}:
            assert proofs.inclusion(index) == path(index, leaves)
            check_inclusion(size, mth(leaves), index, LEAVES[index], path(index, leaves))
        for old in {*range(1, size, 5), size}:
            assert proofs.consistency(old) == subproof(old, leaves)
            check_consistency(old, mth(leaves[:old]), size, mth(leaves), subproof(old, leaves))


@pytest.mark.parametrize("size", EDGES)
def test_at_the_edges_of_tiles_proofs_hold_and_the_tree_goes_on_from_its_partial_tiles(size: int) -> None:
    tiles = Tiles(size)
    proofs, leaves = Proofs(size, tiles.read), hashed(size + 1)
    root = proofs.root()
    assert root == tiles.tree.root() == root_of(b"".join(leaves[:size]))
    for index in {0, 1, 254, 255, 256, size // 2, size - 2, size - 1} & set(range(size)):
        check_inclusion(size, root, index, leaves[index], proofs.inclusion(index))
    for old in {0, 1, 255, 256, 257, 512, 65_535, 65_536, size - 1, size} & set(range(size + 1)):
        check_consistency(old, root_of(b"".join(leaves[:old])) or EMPTY_ROOT, size, root, proofs.consistency(old))
    resumed = TileTree.resume(size, root, tiles.read)
    assert resumed.extend(leaves[size:]) == tiles.tree.extend(leaves[size:])
    assert (resumed.root(), resumed.partial()) == (tiles.tree.root(), tiles.tree.partial())


def test_a_tree_of_70000_has_the_tiles_that_tlog_tiles_names() -> None:
    tiles = Tiles(70_000)
    assert sorted(tiles.whole) == [*((0, n) for n in range(273)), (1, 0)]
    assert partial_tiles(70_000) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert [(t.level, t.index, t.width) for t in tiles.tree.partial()] == partial_tiles(70_000)
    assert tiles.whole[0, 272] == b"".join(hashed(70_000)[272 * 256 : 273 * 256])
    assert tiles.whole[1, 0][32:64] == root_of(tiles.whole[0, 1])


@given(st.lists(st.integers(0, 700), max_size=8))
def test_it_does_not_matter_how_many_entries_come_at_once(steps: list[int]) -> None:
    leaves = hashed(sum(steps))
    tree, whole, at = TileTree(), [], 0
    for step in steps:
        whole += tree.extend(leaves[at : at + step])
        at += step
    at_once = TileTree()
    assert sorted(whole, key=lambda t: (t.level, t.index)) == sorted(
        at_once.extend(leaves), key=lambda t: (t.level, t.index)
    )
    assert (tree.size, tree.root(), tree.partial()) == (at_once.size, at_once.root(), at_once.partial())


def test_a_tile_comes_after_those_below_it() -> None:
    assert all(low.level <= high.level for low, high in pairwise(TileTree().extend(hashed(70_000))))


@given(st.data())
def test_no_other_proof_of_inclusion_is_taken(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    root, proof = mth(LEAVES[:size]), path(index, LEAVES[:size])
    other = data.draw(st.integers(-1, MOST))
    if other != index:
        with pytest.raises(NotIncluded):
            check_inclusion(size, root, other, LEAVES[index], proof)
    with pytest.raises(NotIncluded):
        check_inclusion(size, root, index, LEAVES[(index + 1) % MOST], proof)
    with pytest.raises(NotIncluded):
        check_inclusion(size, mth(LEAVES[: size % MOST + 1]), index, LEAVES[index], proof)
    with pytest.raises(NotIncluded):
        check_inclusion(size, root, index, LEAVES[index], data.draw(altered(proof)))


@given(st.data())
def test_no_other_proof_of_consistency_is_taken(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, MOST))
    old = data.draw(st.integers(1, size - 1))
    old_root, root, proof = mth(LEAVES[:old]), mth(LEAVES[:size]), subproof(old, LEAVES[:size])
    rewritten = (leaf_hash(b"another"), *LEAVES[1:size])
    with pytest.raises(NotConsistent):
        check_consistency(old, mth(rewritten[:old]), size, root, proof)
    with pytest.raises(NotConsistent):
        check_consistency(old, old_root, size, mth(rewritten), proof)
    with pytest.raises(NotConsistent):
        check_consistency(old, old_root, size, mth(rewritten), subproof(old, rewritten))
    with pytest.raises(NotConsistent):
        check_consistency(size, root, old, old_root, proof)
    with pytest.raises(NotConsistent):
        check_consistency(old, old_root, size, root, data.draw(altered(proof)))


@st.composite
def altered(draw: st.DrawFn, proof: list[bytes]) -> list[bytes]:
    """A proof that is not this one: a bit flipped, a hash less, more or elsewhere."""
    changed = list(proof)
    kind = draw(st.sampled_from(["flip", "drop", "add", "swap"] if proof else ["add"]))
    at = draw(st.integers(0, max(0, len(proof) - 1)))
    if kind == "flip":
        bit = draw(st.integers(0, 255))
        changed[at] = (int.from_bytes(proof[at]) ^ 1 << bit).to_bytes(32)
    elif kind == "drop":
        del changed[at]
    elif kind == "swap" and len(proof) > 1:
        changed[at], changed[at - 1] = changed[at - 1], changed[at]
    else:
        changed.insert(at, draw(st.sampled_from([*proof, EMPTY_ROOT])))
    return changed


def test_the_same_size_with_another_root_is_another_history() -> None:
    with pytest.raises(NotConsistent, match="different roots"):
        check_consistency(8, mth(LEAVES[:8]), 8, mth(LEAVES[1:9]), [])
    with pytest.raises(NotConsistent, match="nothing to prove"):
        check_consistency(0, EMPTY_ROOT, 8, mth(LEAVES[:8]), [LEAVES[0]])
    with pytest.raises(NotConsistent, match="no proof"):
        check_consistency(4, mth(LEAVES[:4]), 8, mth(LEAVES[:8]), [])


def test_a_truncated_tile_is_named() -> None:
    def cut(level: int, index: int, width: int) -> bytes:
        return TILES.read(level, index, width)[: -1 if level == 0 else None]

    with pytest.raises(TileTruncated, match="tile 1 of level 0 has 1407 bytes instead of 1408"):
        Proofs(MOST, cut).inclusion(MOST - 1)
    with pytest.raises(TileTruncated):
        TileTree.resume(MOST, TILES.tree.root(), cut)


def test_partial_tiles_of_another_tree_are_not_gone_on_from() -> None:
    with pytest.raises(RootDiffers):
        TileTree.resume(MOST, mth(LEAVES[1:]), TILES.read)
    assert TileTree.resume(0, EMPTY_ROOT, TILES.read).root() == EMPTY_ROOT


@pytest.mark.parametrize("ask", [lambda p: p.inclusion(MOST), lambda p: p.inclusion(-1), lambda p: p.consistency(301)])
def test_what_is_not_in_the_tree_cannot_be_proven(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Malformed) as raised:
        ask(Proofs(MOST, TILES.read))
    assert isinstance(raised.value, TrailError)


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(Malformed):
        TileTree().extend([b"short"])
