"""A partner that vouches for the trail: a key of its own, made where there is none, and cosignatures sent back."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from hulpketen_contracts.trail.cosignature import Cosigner
from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.note import KEY_BYTES, Note

from cli.subscribe.feed import say
from deploy.local.errors import StackError

# As Go's `note` has private keys: PRIVATE+KEY+<name>+<id>+<base64 of the algorithm and the 32 bytes>.
_skey = re.compile(r"PRIVATE\+KEY\+([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)").fullmatch
Send = Callable[[str, str, dict[str, str]], str]
"""(method, path, body) of the audit's /v1/trail: what it refused, as `type: detail`; empty where it did not."""
FORKED = ("forked", "another-root")


def load_key(file: Path, organisation: str) -> Cosigner:
    """The private key in a file; where there is none a new one, for its owner alone. Raises StackError."""
    try:
        if not file.exists():
            _make(file, organisation)
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"the key in {file} cannot be read or written ({type(error).__name__})") from None
    try:
        if not (found := _skey(text)):
            raise ValueError
        typed = base64.b64decode(found[3], validate=True)
        key = Cosigner(found[1], typed[1:])
        if (found[2], typed[0]) != (key.key.id.hex(), key.key.ALGORITHM):
            raise ValueError
    except (ValueError, IndexError):
        raise StackError(f"{file} holds no private key of a cosigner: name another file, and one is made") from None
    return key


def _make(file: Path, organisation: str) -> None:
    seed = os.urandom(KEY_BYTES)
    key = Cosigner(organisation, seed).key
    encoded = base64.b64encode(bytes([key.ALGORITHM]) + seed).decode()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(f"PRIVATE+KEY+{key.name}+{key.id.hex()}+{encoded}\n")
    say(f"a key was made in {file}: keep it, and tell nobody what is in it")


class Voucher:
    """Sends cosignatures of the newest checkpoint."""

    def __init__(self, key: Cosigner, send: Send) -> None:
        self._key = key
        self._send = send
        self._next = ""

    def register(self) -> None:
        """Tell the audit the key. Raises StackError with its words where it does not take it."""
        if refused := self._send("PUT", "witness-key", {"vkey": str(self._key.key)}):
            raise StackError(f"the audit does not take the key: {refused}")
        say(f"vouches with {self._key.key}")

    def checked(self, checkpoint: str) -> None:
        """This one goes on from all before it."""
        self._next = checkpoint

    def send(self) -> str:
        """Vouch for what was checked last, if it was not sent yet. What was refused because the audit has another tree
        than it signed; empty where it was not."""
        if not self._next:
            return ""
        note, self._next = Note.parse(self._next), ""
        try:
            signed = str(note.adding([self._key.cosign(note.text, int(time.time()))]))
        except TrailError as error:  # the line could not be written: nothing that the audit did
            raise StackError(f"the checkpoint cannot be cosigned: {error}") from error
        refused = self._send("POST", "cosignatures", {"checkpoint": signed})
        if refused.startswith(FORKED):
            return refused
        if refused:
            say(f"the cosignature was not taken: {refused}")
        return ""
