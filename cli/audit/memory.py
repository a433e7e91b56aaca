"""What a checker of the trail remembers: the keys that it began with, and the last checkpoint that was right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Self

from hulpketen_contracts.trail.errors import HistoryRewritten, TrailError
from hulpketen_contracts.trail.part import Keys

from deploy.local.errors import StackError
from deploy.local.folder import write_private


class Memory(NamedTuple):
    """`keys`: vkeys, a line each; `checkpoint`: signed. Both are empty before the first time."""

    file: Path
    keys: str = ""
    checkpoint: str = ""

    @classmethod
    def load(cls, file: Path) -> Self:
        """What was remembered in this file. Raises StackError where it cannot be read."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(file, str(found["keys"]), str(found["checkpoint"]))
        except FileNotFoundError:
            return cls(file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StackError(f"{file} cannot be read ({type(error).__name__}): name another with --memory") from error

    def known(self, given: Path | None) -> Keys | None:
        """The keys that are known: those in the file that was given, or else those that were remembered."""
        if given is None:
            return Keys.parse(self.keys) if self.keys else None
        try:
            return Keys.parse(given.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, TrailError) as error:
            raise StackError(f"{given} holds no public keys, one a line: {error}") from error

    @property
    def kept(self) -> list[str]:
        """The last checkpoint, if there is one."""
        return [self.checkpoint] if self.checkpoint else []

    def keep(self, keys: Keys, checkpoint: str) -> None:
        """Remember what was right. Raises StackError."""
        text = json.dumps({"keys": str(Keys(keys.trail)), "checkpoint": checkpoint}, indent=2)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_private(self.file, f"{text}\n")
        except OSError as error:
            raise StackError(f"{self.file} cannot be written: {error.strerror}") from error

    def evidence(self, alarm: HistoryRewritten) -> Path:
        """Write down both checkpoints, which contradict each other; the file. Raises StackError."""
        found = self.file.with_suffix(".alarm.json")
        text = json.dumps({"why": str(alarm), "kept": alarm.kept, "shown": alarm.shown}, indent=2)
        try:
            write_private(found, f"{text}\n")
        except OSError as error:
            raise StackError(f"{found} cannot be written: {error.strerror}; {text}") from error
        return found
