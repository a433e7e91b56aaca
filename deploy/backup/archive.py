"""The file of a backup: age (age-encryption.org/v1) around gzip around BSON documents, written and read as a stream.

The documents, in order: the head ({"format", "takenAt", "services", …}); for each collection {"collection", "service",
"options", "indexes"}, then its documents in portions ({"documents": bytes}: BSON documents one after another), then
{"end", "count", "sha256"}; last {"total", "collections"}. age finds every change, and every cut; the sums and counts
find what a fault of ours would lose.
"""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import bson
import pyrage
from bson.errors import InvalidBSON

from deploy.local.errors import StackError

Document = dict[str, Any]
FORMAT = "hulpketen-backup-1"
_PIPE_BYTES = 1 << 20


class BackupError(StackError):
    """A backup or restore cannot go on; its text is one line that says why, and what to do."""


def new_key(path: Path) -> str:
    """Write a new secret key to a file that only its owner may read; the public key, to encrypt to.

    Raises BackupError where there is a file.
    """
    identity = pyrage.x25519.Identity.generate()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"# public key: {identity.to_public()}\n{identity}\n")
    except OSError as error:
        raise BackupError(f"{path} cannot be made: {error.strerror}") from error
    return str(identity.to_public())


def recipient(text: str) -> Any:
    """A public key: age1…. Raises BackupError."""
    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError:
        raise BackupError(f"{text[:80]!r} is no public key of age: one begins with age1") from None


def identities(path: Path) -> list[Any]:
    """The secret keys in a file, one a line, as age-keygen writes it. Raises BackupError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"the key {path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error
    try:
        found = [pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line and line[0] != "#"]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise BackupError(f"{path} holds no secret key of age: one begins with AGE-SECRET-KEY-1")
    return found


class Writer:
    """Writes a backup to a file that appears whole or not at all."""

    def __init__(self, path: Path, recipients: list[Any]) -> None:
        self._path = path
        self._draft = path.with_name(path.name + ".part")
        self._recipients = recipients

    def __enter__(self) -> Self:
        try:
            self._file = os.fdopen(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        except OSError as error:
            raise BackupError(f"{self._draft} cannot be written: {error.strerror}") from error
        read, write = os.pipe()
        plain = os.fdopen(read, "rb", _PIPE_BYTES)
        self._age = _Beside(lambda: pyrage.encrypt_io(plain, self._file, self._recipients), plain)
        self._pipe = os.fdopen(write, "wb", _PIPE_BYTES)
        self._gzip = gzip.GzipFile(fileobj=self._pipe, mode="wb", compresslevel=3, mtime=0)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        try:
            with self._pipe:
                self._gzip.close()
        except BrokenPipeError:
            pass  # what stopped it is told by the other end
        failed = self._age.end()
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            failed = failed or error
        if kind is None and failed is None:
            self._draft.replace(self._path)
            return
        self._draft.unlink(missing_ok=True)
        if failed is not None and (kind is None or kind is BrokenPipeError):
            reason = getattr(failed, "strerror", None) or failed
            raise BackupError(f"{self._path} cannot be written: {reason}") from failed

    def put(self, document: Document) -> None:
        """Write one document."""
        self._gzip.write(bson.encode(document))


@contextmanager
def reading(path: Path, keys: list[Any]) -> Iterator[Iterator[Document]]:
    """The documents of a backup, one by one. Raises BackupError where the file is not whole, or not for these keys."""
    try:
        sealed = path.open("rb")
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from error
    read, write = os.pipe()
    with sealed:
        out = os.fdopen(write, "wb", _PIPE_BYTES)
        age = _Beside(lambda: pyrage.decrypt_io(sealed, out, keys), out)
        plain = os.fdopen(read, "rb", _PIPE_BYTES)
        try:
            yield _documents(plain, path)
            # What is not read to its end was not looked at to its end.
            while plain.read(_PIPE_BYTES):
                pass
        except (EOFError, InvalidBSON, OSError, zlib.error, BackupError) as error:
            plain.close()
            failed = age.end()
            if isinstance(error, BackupError) and isinstance(failed, BrokenPipeError | None):
                raise
            raise _broken(path, failed) from error
        finally:
            plain.close()
        if failed := age.end():
            raise _broken(path, failed)


def _broken(path: Path, failed: BaseException | None) -> BackupError:
    if isinstance(failed, pyrage.DecryptError) and "key" in str(failed).lower():
        return BackupError(f"{path} was encrypted for another key than this one")
    if isinstance(failed, pyrage.DecryptError):
        return BackupError(f"{path} is no backup: it is not a file of age")
    return BackupError(f"{path} is cut short or was changed: nothing of it is used; take another copy")


def _documents(plain: IO[bytes], path: Path) -> Iterator[Document]:
    with gzip.GzipFile(fileobj=plain, mode="rb") as file:
        yield from bson.decode_file_iter(cast(IO[bytes], file))
        if file.read(1):
            raise BackupError(f"{path} holds more than a backup")


class _Beside:
    """Work in a thread of its own, at the end of which its side of the pipe is closed."""

    def __init__(self, work: Callable[[], object], side: IO[bytes]) -> None:
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work, side), name="age", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], object], side: IO[bytes]) -> None:
        try:
            with side:
                work()
        except BaseException as error:  # noqa: BLE001 - told to who waits for the end
            self._failed = error

    def end(self) -> BaseException | None:
        """Wait for it; what it failed with."""
        self._thread.join()
        return self._failed
