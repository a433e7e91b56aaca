"""What a checker of the trail remembers: the keys that it began with, and the last checkpoint that was right."""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self

from hulpketen_contracts.trail.checkpoint import Checkpoint
from hulpketen_contracts.trail.errors import HistoryRewritten, TrailError
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
        _write(self.file, _text({"keys": self.keys, "checkpoint": self.checkpoint, "last": self.last}))

    def evidence(self, why: str, kept: str, shown: str, error: HistoryRewritten | None = None) -> Path:
        """Write down two checkpoints beside it, which check failed, and what proves it; the file, which is never one
        that holds something else. Raises StackError."""
        try:
            size = f"-{Checkpoint.parse(Note.parse(shown).text).size}"
        except TrailError:
            size = ""
        held: dict[str, Any] = {"why": why, "kept": kept, "shown": shown}
        if error and error.proven:
            root, *proof = [b64encode(each).decode() for each in (error.root, *error.proof)]
            held |= {"root": root, "proof": proof}
        text = _text(held)
        names = (f".alarm{size}{f'-{n}' if n > 1 else ''}.json" for n in count(1))
        found = next(
            file
            for file in map(self.file.with_suffix, names)
            if not file.exists() or file.read_text(encoding="utf-8") == text
        )
        _write(found, text)
        return found


def _text(held: dict[str, Any]) -> str:
    return f"{json.dumps(held, indent=2)}\n"


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, text)
    except OSError as error:
        raise StackError(f"{file} cannot be written: {error.strerror}; {text}") from error
