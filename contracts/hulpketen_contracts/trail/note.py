"""Signed notes (C2SP `signed-note`): a text, and under it a line for each that signed it, with Ed25519."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import ClassVar, NamedTuple, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hulpketen_contracts.trail.errors import Malformed, NoSuchKey, SignatureForged, UnknownKey

MAX_NOTE_BYTES = 256 * 1024
MAX_SIGNATURES = 1_000
KEY_BYTES = 32
_ID_BYTES = 4
_control = re.compile(r"[\x00-\x09\x0b-\x1f]").search
_key_id = re.compile(r"[0-9a-f]{8}").fullmatch


class Signature(NamedTuple):
    """A line under a note: who says to have signed it, the id of the key, and the signature."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line, with its newline."""
        return f"— {self.name} {_text(self.key_id + self.signature)}\n"


class Note(NamedTuple):
    """A text (its last newline included) and the signatures under it, of which none has been verified."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, raw: str) -> Self:
        """Read a signed note. Raises Malformed."""
        if len(raw) > MAX_NOTE_BYTES:
            raise Malformed(f"a signed note has over {MAX_NOTE_BYTES} characters")
        if _control(raw) or not _encodable(raw):
            raise Malformed("a signed note holds what no text holds")
        text, blank, lines = raw.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise Malformed("not a signed note: a text, an empty line, and lines of signatures that end in a newline")
        signatures = [_signature(line) for line in lines[:-1].split("\n")]
        if len(signatures) > MAX_SIGNATURES:
            raise Malformed(f"a signed note has over {MAX_SIGNATURES} signatures")
        return cls(text + "\n", tuple(signatures))

    def __str__(self) -> str:
        return self.text + "\n" + "".join([signature.line() for signature in self.signatures])

    def adding(self, signatures: Collection[Signature]) -> Note:
        """The same note with these signatures under it, too; one that is there already is not there twice."""
        return Note(self.text, (*self.signatures, *[each for each in signatures if each not in self.signatures]))

    def verified(self, keys: Sequence[VerifierKey]) -> list[tuple[VerifierKey, Signature]]:
        """The signatures by these keys, all verified; others are passed over.

        Raises: SignatureForged where one says that it is by one of these keys and is not; UnknownKey where none does.
        """
        known = {(key.name, key.id): key for key in keys}
        found = [(key, each) for each in self.signatures if (key := known.get((each.name, each.key_id)))]
        for key, each in found:
            key.check(self.text, each.signature)
        if not found:
            signed = ", ".join(sorted({f"{each.name}+{each.key_id.hex()}" for each in self.signatures}))
            wanted = ", ".join(sorted({f"{key.name}+{key.id.hex()}" for key in keys})) or "none"
            raise UnknownKey(f"signed with {signed}; known keys: {wanted}")
        return found


class VerifierKey:
    """A public key with the name of whom it is; its text form is a vkey (`<name>+<id>+<key>`)."""

    ALGORITHM: ClassVar[int] = 0x01

    def __init__(self, name: str, key: bytes) -> None:
        """`key`: 32 bytes. Raises Malformed."""
        if not name or "+" in name or any(each.isspace() for each in name) or _control(name) or not _encodable(name):
            raise Malformed("the name of a key is empty, or holds a space or a plus")
        if len(key) != KEY_BYTES:
            raise Malformed(f"a public key has {len(key)} bytes instead of {KEY_BYTES}")
        self.name = name
        self.key = key
        typed = bytes([self.ALGORITHM]) + key
        self.id = sha256(name.encode() + b"\n" + typed).digest()[:_ID_BYTES]
        self._public = Ed25519PublicKey.from_public_bytes(key)

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a vkey. Raises NoSuchKey where it is none, or of another kind; Malformed where it was mistyped."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        typed = _bytes(encoded) if _key_id(key_id) else b""
        if typed[:1] != bytes([cls.ALGORITHM]):
            raise NoSuchKey(f"not a key of this kind: <name>+<id>+<base64 of {cls.ALGORITHM:#04x} and 32 bytes>")
        key = cls(name, typed[1:])
        if key.id.hex() != key_id:
            raise Malformed("the id in the key is not that of its name and its bytes")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_text(bytes([self.ALGORITHM]) + self.key)}"

    def check(self, text: str, signature: bytes) -> None:
        """Check a signature under this text. Raises SignatureForged."""
        self._verify(text.encode(), signature)

    def _verify(self, message: bytes, signature: bytes) -> None:
        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            raise SignatureForged(f"the signature of {self.name} is not one of its key under this text") from None


class Signer:
    """A private key with the name of whom it is. Ed25519 is deterministic: the same text has the same signature."""

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed`: the 32 bytes of a private key (RFC 8032). Raises Malformed."""
        if len(seed) != KEY_BYTES:
            raise Malformed(f"a private key has {len(seed)} bytes instead of {KEY_BYTES}")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Sign a text that ends in a newline."""
        return Signature(self.key.name, self.key.id, self._private.sign(text.encode()))


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, space, encoded = rest.partition(" ")
    signature = _bytes(encoded)
    if dash != "—" or not name or not space or len(signature) <= _ID_BYTES or any(each.isspace() for each in name):
        raise Malformed("a line under a signed note is no signature: — <name> <base64>")
    return Signature(name, signature[:_ID_BYTES], signature[_ID_BYTES:])


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """The bytes of a base64 text; empty where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
