"""The proof of one entry is a file, and says offline whether it is right."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hulpketen_contracts.trail.checkpoint import Checkpoint, sign_checkpoint
from hulpketen_contracts.trail.errors import Malformed, NotIncluded, SignatureForged, UnknownKey, WrongOrigin
from hulpketen_contracts.trail.leaf import Leaf, leaf_bytes
from hulpketen_contracts.trail.note import Signer
from hulpketen_contracts.trail.proof import Proof, check_proof
from hulpketen_contracts.trail.tree import Proofs, TileTree, leaf_hash

SIGNER = Signer("trail.example/audit/1", bytes(range(32)))


def leaf(n: int) -> Leaf:
    at = datetime(2026, 11, 22, 10, 0, n % 60, tzinfo=UTC)
    return Leaf(at, "nl.hulpketen.cases.opened.v1", "urn:nld:oin:0", "gemeente-assen", None, f"event-{n}", bytes(32))


def proof(index: int, size: int = 20, by: Signer = SIGNER) -> Proof:
    tree = TileTree()
    tree.extend([leaf_hash(leaf_bytes(leaf(n))) for n in range(size)])
    tiles = {(tile.level, tile.index): tile.hashes for tile in tree.partial()}
    hashes = Proofs(size, lambda level, index, _: tiles[level, index]).inclusion(index)
    raw = sign_checkpoint(Checkpoint(by.key.name, size, tree.root()), by)
    return Proof(index, leaf_bytes(leaf(index)), tuple(hashes), raw)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (7, 20), (16, 20), (19, 20)])
def test_a_proof_is_a_text_that_proves_the_entry_in_it(index: int, size: int) -> None:
    raw = str(proof(index, size))
    assert Proof.parse(raw) == proof(index, size)
    proven = check_proof(raw, [SIGNER.key])
    assert (proven.leaf, proven.index, proven.checkpoint.size) == (leaf(index), index, size)


def test_it_is_said_which_check_of_a_proof_failed() -> None:
    raw = str(proof(7))
    other = base64.b64encode(leaf_bytes(leaf(8))).decode()
    with pytest.raises(NotIncluded, match="not number 7"):
        check_proof(raw.replace(base64.b64encode(leaf_bytes(leaf(7))).decode(), other), [SIGNER.key])
    with pytest.raises(NotIncluded):
        check_proof(raw.replace("index 7", "index 6"), [SIGNER.key])
    with pytest.raises(NotIncluded, match="no entry 20"):
        check_proof(raw.replace("index 7", "index 20"), [SIGNER.key])
    with pytest.raises(NotIncluded):
        check_proof(str(Proof(7, proof(7).entry, proof(7).hashes, proof(7, 19).checkpoint)), [SIGNER.key])
    with pytest.raises(SignatureForged):
        check_proof(raw.replace("\n20\n", "\n21\n"), [SIGNER.key])
    with pytest.raises(UnknownKey):
        check_proof(str(proof(7, by=Signer(SIGNER.key.name, bytes(32)))), [SIGNER.key])
    with pytest.raises(WrongOrigin):
        check_proof(raw, [Signer("other.example", bytes(32)).key])


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("extra ", "data "),
        ("extra ", "extra !"),
        ("index 7", "index 07"),
        ("index 7", "index -7"),
        ("index 7\n", ""),
        ("index 7\n", "index 7\nAAAA\n"),
        ("index 7\n", "index 7\n!\n"),
        ("index 7\n", "index 7\n" + "A" * 43 + "=\n" + ("A" * 43 + "=\n") * 63),
        ("\n\n", "\n"),
    ],
)
def test_what_is_no_proof_is_refused(change: str, to: str) -> None:
    raw = str(proof(7))
    assert change in raw
    with pytest.raises(Malformed):
        check_proof(raw.replace(change, to), [SIGNER.key])


def test_a_proof_of_something_that_is_no_entry_is_refused() -> None:
    tree = TileTree()
    tree.extend([leaf_hash(b"{}")])
    raw = sign_checkpoint(Checkpoint(SIGNER.key.name, 1, tree.root()), SIGNER)
    with pytest.raises(Malformed, match="entry of the trail"):
        check_proof(str(Proof(0, b"{}", (), raw)), [SIGNER.key])
