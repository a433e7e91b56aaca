"""What a subscriber keeps: how far it has come in its feed, and the checkpoint that the next one must go on from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from deploy.local.errors import StackError


class Place(NamedTuple):
    """`last`: the number of the last line; None before the first. `keys`: those of the log, as they were told at the
    beginning (vkeys); `checkpoint`: the last one that was checked, whole; empty before the first."""

    last: int | None = None
    keys: Sequence[str] = ()
    checkpoint: str = ""

    @classmethod
    def load(cls, file: Path) -> Self:
        """What was kept there; the beginning where there is no file. Raises StackError where it cannot be read."""
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            last = found["last"]
            place = cls(None if last is None else int(last), tuple(map(str, found["keys"])), str(found["checkpoint"]))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StackError(f"{file} cannot be read ({type(error).__name__}): name another with --state") from None
        if place.last is not None and place.last < 0:
            raise StackError(f"{file} holds no number of a line: name another with --state")
        return place

    def keep(self, file: Path) -> None:
        """Write it, whole or not at all. Raises StackError."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            written = file.with_suffix(".part")
            with written.open("w", encoding="utf-8") as out:
                json.dump(self._asdict(), out, indent=2)
                out.flush()
                os.fsync(out.fileno())
            written.replace(file)
        except OSError as error:
            raise StackError(f"{file} cannot be written: {error.strerror}") from error
