"""Ties every process of a stack to the life of the process that started it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence

from deploy.local import leash_program

_PROGRAM = [sys.executable, "-I", "-S", leash_program.__file__]


def leashed(command: Sequence[str]) -> list[str]:
    """The command line by which `command` dies with this process (on Linux; elsewhere the watcher alone sees to it)."""
    return [*_PROGRAM, "run", str(os.getpid()), *command]


class Leash:
    """The watcher that kills the process groups that are left when this process is gone."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._watcher = self._start()

    @property
    def pid(self) -> int:
        return self._watcher.pid

    def add(self, group: int) -> None:
        """From now on this process group dies with us."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """This group has ended: its number may come to belong to another."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let go; the watcher kills what is still there and ends."""
        self._watcher.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*_PROGRAM, "watch"], stdin=subprocess.PIPE, start_new_session=True, bufsize=0)

    def _tell(self, line: str) -> None:
        if self._watcher.poll() is not None:
            self._replace()
        elif self._watcher.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._watcher.stdin.write(line.encode())

    def _replace(self) -> None:
        """Somebody killed the watcher: another takes over all groups."""
        if self._watcher.stdin:
            self._watcher.stdin.close()
        self._watcher = self._start()
        if self._watcher.stdin:
            self._watcher.stdin.write("".join(f"+{group}\n" for group in self._groups).encode())
