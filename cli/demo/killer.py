"""Kills processes of the chain at random moments of a demo, as failures would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random


class Killer:
    """`pending`: (moment, name), the earliest first; a moment counts what the ledger counts as progress."""

    def __init__(self, names: Sequence[str], signals: int, dice: Random, kill: Callable[[str], None]) -> None:
        # A signal makes about two and a half steps: it is answered, seen in a case, and some are referred.
        self.pending = sorted((dice.uniform(0.05, 2.2) * signals, name) for name in names)
        self._kill = kill

    def look(self, progress: int) -> None:
        """Kill what is due."""
        while self.pending and self.pending[0][0] <= progress:
            self._kill(self.pending.pop(0)[1])

    def all(self) -> None:
        """Kill what is left: the demo had fewer steps than were reckoned with."""
        self.look(2**31)
