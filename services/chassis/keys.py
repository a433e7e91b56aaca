"""Keys: wrapping, sealing and keyed hashes.

Two levels: a provider (a key file, or a KMS) holds a few wrapping keys, one per label (a municipality and a period);
data keys are random, and stored wrapped. Destroying a label's wrapping key erases all that was wrapped by it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
# The versions of the master key are asked for with each hash, thousands of times a second.
LOOK_EVERY_S = 1.0


class KeyDestroyed(Exception):
    """There is no wrapping key of this label: it was destroyed, or never made."""


class SealBroken(Exception):
    """What was sealed cannot be opened: another key, other associated data, or changed bytes."""


class KeyProvider(Protocol):
    """Who holds the wrapping keys and the master keys: a key file, or a KMS.

    Of a KMS every method raises StoreUnavailable where it, or the database, does not answer.
    """

    async def prepare(self) -> None:
        """Open the master keys; done once at the start, and again until it succeeds."""

    async def close(self) -> None:
        """Close what is open to the outside."""

    async def wrap(self, label: str, keys: Sequence[bytes]) -> list[bytes]:
        """Wrap data keys under the wrapping key of `label`, which is made at first use."""

    async def unwrap(self, label: str, wrapped: Sequence[bytes]) -> list[bytes]:
        """Open them again. Raises KeyDestroyed, and SealBroken where one was wrapped under another label."""

    async def destroy(self, label: str) -> None:
        """Destroy the wrapping key of `label`; again is harmless."""

    def derive(self, purpose: str, version: int | None = None) -> bytes:
        """A 32-byte key for one purpose (HKDF-SHA256 of a master key; the newest if no version is given).

        Before `prepare` a KMS has none open: see DerivedKey.
        """

    def versions(self) -> list[int]:
        """Versions of the master key, newest first."""


def new_key() -> bytes:
    """A random 32-byte key."""
    return secrets.token_bytes(KEY_BYTES)


def derived(master: bytes, purpose: str) -> bytes:
    """The 32-byte key for one purpose: HKDF-SHA256 of a master key."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(master)


class Sealer:
    """Seals values under one key: AES-256-GCM with a random nonce in front. 2 µs for a kilobyte."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """Nonce (12 bytes), ciphertext and tag (16 bytes); `associated` must be the same at opening."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
        except (InvalidTag, ValueError) as error:
            raise SealBroken from error


class DerivedKey:
    """The key for one purpose, derived when it is first asked for: an application is built before its keys are open.

    Asking raises StoreUnavailable as long as they are not.
    """

    def __init__(self, provider: KeyProvider, purpose: str, *, oldest: bool = False) -> None:
        """Of the newest master key; with `oldest` of the first one, for what must come out the same for ever."""
        self._provider, self._purpose, self._oldest = provider, purpose, oldest
        self._key: bytes | None = None

    def __call__(self) -> bytes:
        if self._key is None:
            versions = self._provider.versions()
            self._key = self._provider.derive(self._purpose, versions[-1 if self._oldest else 0])
        return self._key


class DerivedSealer(Sealer):
    """A sealer under such a key. Both methods raise StoreUnavailable as long as the keys are not open."""

    __slots__ = ("_key", "_sealer")

    def __init__(self, key: DerivedKey) -> None:
        self._key = key
        self._sealer: Sealer | None = None

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        return self._opened().seal(plaintext, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        return self._opened().open(sealed, associated)

    def _opened(self) -> Sealer:
        if self._sealer is None:
            self._sealer = Sealer(self._key())
        return self._sealer


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Seal one value; see Sealer."""
    return Sealer(key).seal(plaintext, associated)


def open_sealed(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Open one value; see Sealer."""
    return Sealer(key).open(sealed, associated)


class KeyedHasher:
    """Keyed hashes of what is known of a person (HMAC-SHA256), with a key per municipality.

    The key comes from the first master key, however many there are: under another one nobody who is known is found,
    and each would become a second person.
    """

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider
        self._keys: dict[tuple[str, int], bytes] = {}

    def hash(self, municipality: str, kind: str, value: str) -> str:
        """The hash, "version:64 hex"; `kind` says what the value is, so that kinds never meet."""
        version = self._provider.versions()[-1]
        key = self._keys.get((municipality, version))
        if key is None:
            key = self._provider.derive(f"hash/{municipality}", version)
            self._keys[municipality, version] = key
        message = f"{kind}\0{value}".encode()
        return f"{version}:{hmac.digest(key, message, 'sha256').hex()}"


class FileKeyProvider:
    """Keys in one JSON file, for a stack on one machine. Processes share it: it is read again when it has changed.

    A new master key counts within LOOK_EVERY_S seconds, a wrapping key that was made or destroyed at once.
    {"masters": {"1": base64}, "wrapping": {label: base64}}; mode 600, replaced as a whole, changed under a lock.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives seconds."""
        self._path = path
        self._clock = clock
        self._looked = 0.0
        self._stamp: tuple[int, int, int] | None = None
        self._masters: dict[int, bytes] = {}
        self._versions: list[int] = []
        self._wrapping: dict[str, Sealer] = {}
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            if not path.exists():
                self._replace({"masters": {"1": _text(new_key())}, "wrapping": {}})
        self._refresh()

    async def prepare(self) -> None:
        """The file was read when this was made."""

    async def close(self) -> None:
        """Nothing is open."""

    async def wrap(self, label: str, keys: Sequence[bytes]) -> list[bytes]:
        self._refresh()
        if label not in self._wrapping:
            self._add(label)
        sealer, associated = self._wrapping[label], label.encode()
        return [sealer.seal(key, associated) for key in keys]

    async def unwrap(self, label: str, wrapped: Sequence[bytes]) -> list[bytes]:
        self._refresh()
        sealer = self._wrapping.get(label)
        if sealer is None:
            raise KeyDestroyed(label)
        associated = label.encode()
        return [sealer.open(each, associated) for each in wrapped]

    async def destroy(self, label: str) -> None:
        with self._locked():
            content = self._read()
            if content["wrapping"].pop(label, None) is not None:
                self._replace(content)
        self._refresh()

    def derive(self, purpose: str, version: int | None = None) -> bytes:
        newest = self.versions()[0]
        return derived(self._masters[newest if version is None else version], purpose)

    def versions(self) -> list[int]:
        if self._clock() - self._looked >= LOOK_EVERY_S:
            self._refresh()
        return self._versions

    def _add(self, label: str) -> None:
        with self._locked():
            content = self._read()
            if label not in content["wrapping"]:
                content["wrapping"][label] = _text(new_key())
                self._replace(content)
        self._refresh()

    def _refresh(self) -> None:
        self._looked = self._clock()
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if stamp != self._stamp:
            content = self._read()
            self._masters = {int(version): _bytes(key) for version, key in content["masters"].items()}
            self._versions = sorted(self._masters, reverse=True)
            self._wrapping = {label: Sealer(_bytes(key)) for label, key in content["wrapping"].items()}
            self._stamp = stamp

    def _read(self) -> dict[str, dict[str, str]]:
        content: dict[str, dict[str, str]] = json.loads(self._path.read_bytes())
        return content

    def _replace(self, content: dict[str, Any]) -> None:
        """Write beside, force to disk, and rename: a crash leaves the old file or the new one."""
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self._path.with_suffix(".lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def fingerprint(secret: str) -> str:
    """SHA-256 of a random secret (a session cookie), to find it by without storing it. Not for guessable values."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
