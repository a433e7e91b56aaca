"""A partner that keeps one checkpoint sees every rewriting of what it covers."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence

import pytest
from hulpketen_contracts import CheckpointPublished
from hulpketen_contracts.trail.checkpoint import Checkpoint, sign_checkpoint
from hulpketen_contracts.trail.cosignature import Cosigned, Cosigner, cosignatures
from hulpketen_contracts.trail.errors import (
    HistoryRewritten,
    Malformed,
    NotConsistent,
    ProofMissing,
    SignatureForged,
    SizeWentBack,
    TrailError,
    UnknownKey,
    WrongOrigin,
)
from hulpketen_contracts.trail.note import Signer
from hulpketen_contracts.trail.tree import EMPTY_ROOT, Proofs, TileTree, check_consistency, leaf_hash
from hulpketen_contracts.trail.witness import Witness

from tests.trail.reference import Tiles, hashed

SIGNER = Signer("trail.example/audit/1", bytes(range(32)))
KEYS = [SIGNER.key]
TILES = Tiles(600)


def signed(size: int, tiles: Tiles = TILES, by: Signer = SIGNER) -> str:
    return sign_checkpoint(Checkpoint(by.key.name, size, Proofs(size, tiles.read).root()), by)


def proof(old: int, size: int) -> Sequence[bytes]:
    return Proofs(size, TILES.read).consistency(old)


def rewritten() -> Tiles:
    """The same trail, in which one entry is another; and all above it is as it should be for that."""
    tiles = Tiles(0)
    leaves = hashed(600)
    leaves[17] = leaf_hash(b"what suits somebody better")
    tiles.whole = {(tile.level, tile.index): tile.hashes for tile in tiles.tree.extend(leaves)}
    tiles.partial = {(tile.level, tile.index): tile.hashes for tile in tiles.tree.partial()}
    return tiles


def test_the_first_is_taken_on_trust_and_each_later_one_must_go_on_from_it() -> None:
    witness = Witness(KEYS)
    assert (witness.size, witness.last) == (0, None)
    sizes = [3, 300, 512, 600]
    witness.check(signed(3))
    for old, size in itertools.pairwise(sizes):
        assert witness.check(signed(size), old, proof(old, size)).size == witness.size == size
    assert witness.last == signed(600)
    witness.check(signed(600))  # the same again


def told(size: int, before: int, tiles: Tiles = TILES) -> CheckpointPublished:
    hashes = [base64.b64encode(each).decode() for each in Proofs(size, tiles.read).consistency(before)]
    return CheckpointPublished(size=size, previous_size=before, checkpoint=signed(size, tiles), proof=hashes)


def test_what_comes_in_the_feed_is_checked() -> None:
    witness = Witness(KEYS, signed(300))
    assert witness.announced(told(600, 300)).size == 600
    with pytest.raises(Malformed, match="tells of 601 entries, and its checkpoint of 600"):
        witness.announced(told(600, 300).model_copy(update={"size": 601}))


def test_a_feed_that_begins_anew_tells_the_beginning_of_what_was_kept() -> None:
    witness = Witness(KEYS, signed(512), proof)
    for size, before, kept in ((3, 0, 512), (300, 3, 512), (512, 300, 512), (600, 512, 600)):
        assert witness.announced(told(size, before)).size == size
        assert witness.last == signed(kept)


def test_a_feed_that_begins_anew_with_another_history_raises_the_alarm() -> None:
    def not_signed(old: int, size: int) -> Sequence[bytes]:
        raise NotConsistent(f"300 entries are signed, and not {size}")

    other = rewritten()
    for fetch in (proof, lambda old, size: Proofs(size, other.read).consistency(old), not_signed):
        witness = Witness(KEYS, signed(512), fetch)
        with pytest.raises(HistoryRewritten) as raised:
            witness.announced(told(300, 0, other))
        assert (raised.value.kept, raised.value.shown) == (signed(512), signed(300, other))
        assert witness.last == signed(512)
    with pytest.raises(ProofMissing, match="512 entries goes on from one of 300"):
        Witness(KEYS, signed(512)).announced(told(300, 0))


def test_a_gap_is_closed_with_a_proof_that_is_asked_for() -> None:
    asked = []

    def fetch(old: int, size: int) -> Sequence[bytes]:
        asked.append((old, size))
        return proof(old, size)

    assert Witness(KEYS, signed(3), fetch).check(signed(600), 300, proof(300, 600)).size == 600
    assert asked == [(3, 600)]
    alone = Witness(KEYS, signed(3))
    with pytest.raises(ProofMissing, match="600 entries goes on from one of 3"):
        alone.check(signed(600), 300, proof(300, 600))
    assert alone.last == signed(3)


def test_a_wrong_proof_alone_is_no_alarm_where_a_right_one_can_be_had() -> None:
    assert Witness(KEYS, signed(300), proof).check(signed(600), 300, [bytes(32)]).size == 600
    with pytest.raises(HistoryRewritten) as raised:
        Witness(KEYS, signed(300)).check(signed(600), 300, [bytes(32)])
    # The trail gave a proof that shows nothing: an alarm, but nobody else can be shown that both are not true.
    assert (raised.value.proven, raised.value.proof) == (False, [])


@pytest.mark.parametrize("size", [300, 301, 512, 600])
def test_a_rewritten_trail_with_a_checkpoint_that_is_rightly_signed_raises_the_alarm(size: int) -> None:
    other = rewritten()
    theirs = Proofs(size, other.read).consistency(300)
    witness = Witness(KEYS, signed(300), lambda old, new: Proofs(new, other.read).consistency(old))
    with pytest.raises(HistoryRewritten) as raised:
        witness.check(signed(size, other), 300, theirs)
    # Both are signed with the same key: anybody can be shown that they contradict each other.
    alarm = raised.value
    assert (alarm.kept, alarm.shown, alarm.proven) == (signed(300), signed(size, other), True)
    assert alarm.root != Proofs(300, TILES.read).root()
    check_consistency(300, alarm.root, size, Proofs(size, other.read).root(), alarm.proof)
    assert witness.last == signed(300)


def test_a_shorter_trail_raises_the_alarm() -> None:
    with pytest.raises(SizeWentBack, match="had 300 entries, and now has 299"):
        Witness(KEYS, signed(300), proof).check(signed(299))


def test_everything_goes_on_from_an_empty_trail() -> None:
    empty = sign_checkpoint(Checkpoint(SIGNER.key.name, 0, EMPTY_ROOT), SIGNER)
    assert Witness(KEYS, empty).check(signed(300)).size == 300
    assert TileTree().root() == EMPTY_ROOT


def test_what_another_signed_is_refused() -> None:
    other, impostor = Signer("other.example", bytes(32)), Signer(SIGNER.key.name, bytes(32))
    witness = Witness([*KEYS, other.key], signed(300))
    for raw, error in (
        (signed(600, by=other), WrongOrigin),
        (signed(600, by=impostor), UnknownKey),
        (signed(600).replace("\n600\n", "\n601\n"), SignatureForged),
    ):
        with pytest.raises(error):
            witness.check(raw, 300, proof(300, 600))
    assert witness.last == signed(300)
    with pytest.raises(TrailError):
        Witness(KEYS, signed(300, by=impostor))


def test_a_partner_cosigns_what_it_checked() -> None:
    cosigner = Cosigner("partner.example/maatjes", bytes(range(1, 33)))
    witness = Witness(KEYS)
    with pytest.raises(ProofMissing, match="no checkpoint"):
        witness.cosign(cosigner, 0)
    witness.check(signed(300))
    raw = signed(300) + witness.cosign(cosigner, 1_700_000_000)
    assert cosignatures(raw, [cosigner.key]) == [Cosigned("partner.example/maatjes", 1_700_000_000)]
