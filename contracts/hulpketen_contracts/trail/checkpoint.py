"""Checkpoints (C2SP `tlog-checkpoint`): the size and the root of a trail, signed by who keeps it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple, Self

from hulpketen_contracts.trail.errors import Malformed, UnknownKey, WrongOrigin
from hulpketen_contracts.trail.note import Note, Signer, VerifierKey
from hulpketen_contracts.trail.tree import HASH_BYTES

_size = re.compile(r"0|[1-9][0-9]{0,17}").fullmatch


class Checkpoint(NamedTuple):
    """A tree: of which trail, how many entries, and its root."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint, without its signatures. Raises Malformed."""
        lines = text.split("\n")
        if len(lines) < 4 or not all(lines[:-1]) or lines[-1]:
            raise Malformed("not a checkpoint: lines with the origin, the size and the root")
        origin, size, root, *_ = lines
        if not _size(size):
            raise Malformed("the second line of the checkpoint is not a size")
        found = cls(origin, int(size), _root(root))
        if not text.startswith(found.text()):
            raise Malformed("the root in the checkpoint is written in another way than base64 writes it")
        return found

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """The signed checkpoint. The name of the key must be the origin."""
    text = checkpoint.text()
    return str(Note(text, (signer.sign(text),)))


def open_checkpoint(raw: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint in a signed note, if it is by the key of its own origin among these.

    Raises: Malformed, WrongOrigin, UnknownKey, SignatureForged.
    """
    note = Note.parse(raw)
    found = Checkpoint.parse(note.text)
    if found.origin not in {key.name for key in keys}:
        known = ", ".join(sorted({key.name for key in keys})) or "none"
        raise WrongOrigin(f"the checkpoint is of the trail {found.origin}; keys are known of: {known}")
    if found.origin not in {key.name for key, _ in note.verified(keys)}:
        raise UnknownKey(f"the checkpoint is signed by known keys, but not by that of its trail {found.origin}")
    return found


def _root(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except ValueError:
        root = b""
    if len(root) != HASH_BYTES:
        raise Malformed("the third line of the checkpoint is not a root: base64 of 32 bytes")
    return root
