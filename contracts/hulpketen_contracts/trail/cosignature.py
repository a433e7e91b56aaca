"""Cosignatures (C2SP `tlog-cosignature`, with Ed25519): a witness says that it saw this tree, and when.

A cosignature under a checkpoint says: of all trees of this trail that I saw until then, each going on from the one
before, this is the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from hulpketen_contracts.trail.errors import Malformed, SignatureForged
from hulpketen_contracts.trail.note import Note, Signature, Signer, VerifierKey

MAX_TIME = 253_402_300_799  # the end of the year 9999
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64


class CosignerKey(VerifierKey):
    """The public key of a witness. No other key may be used for cosignatures and for notes."""

    ALGORITHM: ClassVar[int] = 0x04

    def check(self, text: str, signature: bytes) -> None:
        """Check a cosignature under a checkpoint's text. Raises SignatureForged."""
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise SignatureForged(f"the cosignature of {self.name} is not as long as one is")
        self._verify(_message(text, time_of(signature)), signature[_TIME_BYTES:])
        if time_of(signature) > MAX_TIME:
            raise SignatureForged(f"the cosignature of {self.name} is of a time that no calendar has")


class Cosigner(Signer):
    """The private key of a witness."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed`: 32 bytes. Raises Malformed."""
        super().__init__(name, seed)
        self.key: CosignerKey = CosignerKey(name, self.key.key)

    def cosign(self, text: str, time: int) -> Signature:
        """Cosign the text of a checkpoint; `time` in whole seconds since 1970."""
        if not 0 <= time <= MAX_TIME:
            raise Malformed("the time of a cosignature is not one")
        signature = time.to_bytes(_TIME_BYTES) + self._private.sign(_message(text, time))
        return Signature(self.key.name, self.key.id, signature)


class Cosigned(NamedTuple):
    """A cosignature that was verified: whose, and its time in seconds since 1970."""

    name: str
    time: int


def cosignatures(raw: str, keys: Sequence[CosignerKey]) -> list[Cosigned]:
    """The cosignatures by these keys under a signed checkpoint. Raises Malformed, UnknownKey, SignatureForged."""
    return [Cosigned(key.name, time_of(each.signature)) for key, each in Note.parse(raw).verified(keys)]


def time_of(signature: bytes) -> int:
    """When a cosignature says that it was made, in seconds since 1970."""
    return int.from_bytes(signature[:_TIME_BYTES])


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
