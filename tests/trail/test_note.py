"""Signed notes, checkpoints and cosignatures: what others signed is taken, and nothing that was changed is."""

from __future__ import annotations

import base64

import pytest
from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from hulpketen_contracts.trail.cosignature import Cosigned, Cosigner, CosignerKey, cosignatures
from hulpketen_contracts.trail.errors import Malformed, SignatureForged, TrailError, UnknownKey, WrongOrigin
from hulpketen_contracts.trail.note import Note, Signature, Signer, VerifierKey
from hypothesis import given
from hypothesis import strategies as st

ORIGIN = "trail.example/audit/1"
SIGNER = Signer(ORIGIN, bytes(range(32)))
WITNESS = Cosigner("partner.example/maatjes", bytes(range(1, 33)))
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(32))
RAW = sign_checkpoint(CHECKPOINT, SIGNER)

# The key and the note that the documentation of Go's `note` has as its example.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    f"{GO_TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# A checkpoint of Go's checksum database; the example of C2SP's tlog-checkpoint shows it under another name.
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_NOTE = (
    "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— sum.golang.org "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
# The example of C2SP's tlog-cosignature: which names, which keys, and when it was cosigned.
C2SP_COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def test_notes_that_others_signed_are_taken_and_signed_the_same() -> None:
    ((_, signature),) = Note.parse(GO_NOTE).verified([VerifierKey.parse(GO_KEY)])
    signer = Signer("PeterNeumann", GO_SEED)
    assert str(signer.key) == GO_KEY
    assert signer.sign(GO_TEXT) == signature
    assert str(Note(GO_TEXT, (signature,))) == GO_NOTE
    assert Note.parse(SUMDB_NOTE).verified([VerifierKey.parse(SUMDB_KEY)])


def test_the_example_of_the_standard_is_read() -> None:
    note = Note.parse(C2SP_COSIGNED)
    assert str(note) == C2SP_COSIGNED
    assert Checkpoint.parse(note.text).size == 20852163
    log, witness = note.signatures
    assert (log.name, log.key_id.hex()) == ("example.com/behind-the-sofa", "033de0ae")
    assert (witness.name, witness.key_id.hex(), len(witness.signature)) == ("witness.example.com/w1", "8d66cf3f", 72)
    assert int.from_bytes(witness.signature[:8]) == 1679315147


@pytest.mark.parametrize("start", range(0, len(GO_KEY), 3))
def test_no_part_of_a_key_is_a_key(start: int) -> None:
    for end in range(start + 1, len(GO_KEY) + (start > 0)):
        with pytest.raises(Malformed):
            VerifierKey.parse(GO_KEY[start:end])


@pytest.mark.parametrize(
    "vkey",
    [
        # A key of another length and one of another kind, both with ids that are right for them.
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        str(WITNESS.key),
        "",
    ],
)
def test_what_is_no_key_for_notes_is_refused(vkey: str) -> None:
    with pytest.raises(Malformed):
        VerifierKey.parse(vkey)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name AAAABBBB",
        "text\n\n- name AAAABBBB\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name !!!!\n",
        "text\n\n—  AAAABBBB\n",
        "te\rxt\n\n— name AAAABBBB\n",
        "te\ud800xt\n\n— name AAAABBBB\n",
        "text\n\n— na\u00a0me AAAABBBB\n",
        "text\n\n— name AAAABBBB\ntext\n",
        "x" * 300_000,
        "text\n\n" + "— name AAAABBBB\n" * 1_001,
    ],
)
def test_what_is_no_signed_note_is_refused(raw: str) -> None:
    with pytest.raises(Malformed):
        Note.parse(raw)


def test_signatures_of_others_are_passed_over_and_those_of_known_keys_must_be_right() -> None:
    other = Signer(ORIGIN, bytes(32))
    note = Note.parse(RAW).adding([other.sign(CHECKPOINT.text())])
    assert open_checkpoint(str(note), [SIGNER.key]) == CHECKPOINT
    forged = Note(note.text, (Signature(ORIGIN, SIGNER.key.id, bytes(64)), *note.signatures))
    with pytest.raises(SignatureForged, match=r"trail\.example/audit/1"):
        open_checkpoint(str(forged), [SIGNER.key])


def test_it_is_said_which_check_of_a_checkpoint_failed() -> None:
    with pytest.raises(WrongOrigin, match=r"of the trail trail\.example/audit/1; keys are known of: another\.example"):
        open_checkpoint(RAW, [Signer("another.example", bytes(32)).key])
    with pytest.raises(UnknownKey, match=f"signed with {ORIGIN}"):
        open_checkpoint(RAW, [Signer(ORIGIN, bytes(32)).key])
    with pytest.raises(WrongOrigin, match="known of: none"):
        open_checkpoint(RAW, [])
    moved = Signer("another.example", bytes(32))
    renamed = str(Note(CHECKPOINT.text(), (moved.sign(CHECKPOINT.text()),)))
    with pytest.raises(UnknownKey, match="but not by that of its trail"):
        open_checkpoint(renamed, [moved.key, SIGNER.key])


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n1\nAAAA\n",
        "origin\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",  # other bits behind the last byte
        "\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "origin\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nmore\n",
        "origin\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "origin\n1234567890123456789\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        Checkpoint.parse(text)


@given(st.integers(0, len(RAW) - 1), st.characters(codec="utf-8"))
def test_no_character_of_a_signed_checkpoint_can_be_another(at: int, other: str) -> None:
    if other == RAW[at]:
        return
    try:
        found = open_checkpoint(RAW[:at] + other + RAW[at + 1 :], [SIGNER.key])
    except TrailError:
        return
    # Only in the bits of base64 that stand for nothing.
    assert found == CHECKPOINT
    assert at > RAW.index("—")


def test_a_witness_cosigns_what_the_trail_signed_and_when() -> None:
    note = Note.parse(RAW)
    raw = str(note.adding([WITNESS.cosign(note.text, 1679315147)]))
    key = CosignerKey.parse(str(WITNESS.key))
    assert cosignatures(raw, [key]) == [Cosigned("partner.example/maatjes", 1679315147)]
    assert open_checkpoint(raw, [SIGNER.key]) == CHECKPOINT
    assert Note.parse(raw).adding([WITNESS.cosign(note.text, 1679315147)]) == Note.parse(raw)
    later = raw.replace("\n42\n", "\n43\n")
    with pytest.raises(SignatureForged, match=r"partner\.example/maatjes"):
        cosignatures(later, [key])
    with pytest.raises(UnknownKey):
        cosignatures(RAW, [key])


def test_neither_the_time_of_a_cosignature_can_be_changed_nor_its_kind() -> None:
    note = Note.parse(RAW)
    made = WITNESS.cosign(note.text, 7)
    for signature in (b"\0" * 7 + b"\x08" + made.signature[8:], made.signature[8:], b"", made.signature + b"\0"):
        with pytest.raises(SignatureForged):
            WITNESS.key.check(note.text, signature)
    with pytest.raises(SignatureForged):
        VerifierKey(WITNESS.key.name, WITNESS.key.key).check(note.text, made.signature)
    with pytest.raises(Malformed):
        WITNESS.cosign(note.text, -1)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x00b", "a\ud800b"])
def test_a_key_has_a_name_that_can_stand_in_a_line(name: str) -> None:
    with pytest.raises(Malformed):
        Signer(name, bytes(32))


def test_a_private_key_has_32_bytes() -> None:
    with pytest.raises(Malformed):
        Signer(ORIGIN, bytes(31))
