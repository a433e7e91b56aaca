"""What a checker of the trail remembers: the keys that it began with, and the last checkpoint that was right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Self

from hulpketen_contracts.trail.checkpoint import Checkpoint
from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.note import Note
from hulpketen_contracts.trail.part import Keys

from deploy.local.errors import StackError
from deploy.local.folder import write_private


class Memory(NamedTuple):
    """`keys`: vkeys, a line each; `checkpoint`: signed. Both are empty before the first time.

    `last`: the number of the last line of a feed that was dealt with; None before the first.
    """

    file: Path
    keys: str = ""
    checkpoint: str = ""
    last: int | None = None

    @classmethod
    def load(cls, file: Path, option: str) -> Self:
        """What was remembered in this file. Raises StackError, which names the option, where it cannot be read."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            last = found.get("last")
            if last is not None and not int(last) >= 0:
                raise ValueError
            return cls(file, str(found["keys"]), str(found["checkpoint"]), None if last is None else int(last))
        except FileNotFoundError:
            return cls(file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StackError(f"{file} cannot be read ({type(error).__name__}): name another with {option}") from error

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

    def keep(self) -> None:
        """Write it, whole or not at all. Raises StackError."""
        _write(self.file, {"keys": self.keys, "checkpoint": self.checkpoint, "last": self.last})

    def evidence(self, why: str, kept: str, shown: str) -> Path:
        """Write down two checkpoints beside it, and which check failed; the file. Raises StackError."""
        try:
            size = f"-{Checkpoint.parse(Note.parse(shown).text).size}"
        except TrailError:
            size = ""
        found = self.file.with_suffix(f".alarm{size}.json")
        _write(found, {"why": why, "kept": kept, "shown": shown})
        return found


def _write(file: Path, held: dict[str, str | int | None]) -> None:
    text = json.dumps(held, indent=2)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, f"{text}\n")
    except OSError as error:
        raise StackError(f"{file} cannot be written: {error.strerror}; {text}") from error
