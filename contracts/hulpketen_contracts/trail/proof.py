"""The proof that one entry is in the trail, as a file that is checked offline (C2SP `tlog-proof`).

It holds the entry itself (in the line `extra`), its place, the way up to the root, and the signed checkpoint.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.errors import Malformed
from hulpketen_contracts.trail.leaf import Leaf, parse_leaf
from hulpketen_contracts.trail.note import VerifierKey
from hulpketen_contracts.trail.tree import HASH_BYTES, check_inclusion, leaf_hash

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
MAX_HASHES = 63
_index = re.compile(r"index (0|[1-9][0-9]{0,17})").fullmatch


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as it was read; nothing of it is checked. `entry`: the bytes of the leaf."""

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a proof. Raises Malformed."""
        head, blank, checkpoint = raw.partition("\n\n")
        header, *lines = head.split("\n")
        if header != HEADER or not blank or not lines:
            raise Malformed(f"not a proof: {HEADER}, extra, index, hashes, an empty line and a signed checkpoint")
        if not lines[0].startswith("extra "):
            raise Malformed("the proof does not hold the entry: its second line is not extra <base64>")
        place = _index(lines[1]) if len(lines) > 1 else None
        if place is None:
            raise Malformed("the third line of the proof is not index <number>")
        if len(lines) - 2 > MAX_HASHES:
            raise Malformed(f"the proof has over {MAX_HASHES} hashes")
        hashes = tuple([_bytes(line) for line in lines[2:]])
        if any(len(each) != HASH_BYTES for each in hashes):
            raise Malformed("a hash in the proof is not base64 of 32 bytes")
        return cls(int(place[1]), _bytes(lines[0].removeprefix("extra ")), hashes, checkpoint)

    def __str__(self) -> str:
        lines = [HEADER, f"extra {_text(self.entry)}", f"index {self.index}", *[_text(each) for each in self.hashes]]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof proves: this entry is number `index` of the trail, of which this checkpoint was signed."""

    leaf: Leaf
    index: int
    checkpoint: Checkpoint


def check_proof(raw: str, keys: Sequence[VerifierKey]) -> Proven:
    """Check a proof with the keys of the trail that are known.

    Raises: Malformed, WrongOrigin, UnknownKey, SignatureForged, NotIncluded.
    """
    proof = Proof.parse(raw)
    checkpoint = open_checkpoint(proof.checkpoint, keys)
    check_inclusion(checkpoint.size, checkpoint.root, proof.index, leaf_hash(proof.entry), proof.hashes)
    return Proven(parse_leaf(proof.entry), proof.index, checkpoint)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("a line of the proof is not base64") from None
