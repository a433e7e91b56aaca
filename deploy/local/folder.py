"""The data folder of a stack: its lock, its secrets, and stack.json, by which other commands find what runs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local.errors import FolderInUse, StackError

DEFAULT = Path(".hulpketen")


class DataFolder:
    """A folder that one stack at a time may use. Enter it to take the lock; the kernel lets go of it at any death."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process runs the stack of this folder."""
        return self._lock is not None

    def __enter__(self) -> Self:
        try:
            for folder in (self.path, self.keys, self.logs, self.traces, self.mongo):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(f"the data folder {self.path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise FolderInUse(f"a stack is already running on the data folder {self.path}") from None
        self._lock = lock
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        (self.path / "stack.json").unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def traces(self) -> Path:
        return self.path / "traces"

    @property
    def mongo(self) -> Path:
        return self.path / "mongo"

    def secret(self, name: str) -> str:
        """A random secret, made at the first call and the same ever after; only the owner may read its file."""
        path = self.keys / f"{name}.secret"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text(encoding="utf-8")

    def describe(self, stack: dict[str, Any]) -> None:
        """Write stack.json, whole or not at all."""
        write_private(self.path / "stack.json", json.dumps(stack, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def running_stack(path: Path) -> dict[str, Any]:
    """What stack.json of a running stack says. Raises: StackError where none runs on this folder."""
    nothing = StackError(f"no stack is running on {path.absolute()}: start one with 'hulpketen up'")
    try:
        with (path / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    except OSError:
        raise nothing from None
    else:
        raise nothing
    try:
        stack: dict[str, Any] = json.loads((path / "stack.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StackError(f"the stack on {path.absolute()} is still starting: try again in a moment") from None
    return stack
