"""What the demo says while it runs: a bar where standard error is a terminal, a line a stage elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.demo.ledger import Ledger


class Show:
    """Enter it for as long as the demo runs."""

    def __init__(self, signals: int) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._signals = self._bar.add_task("signals answered", total=signals)
        self._statuses = self._bar.add_task("statuses seen", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._bar.console.print(line, style="dim", highlight=False)

    def update(self, ledger: Ledger) -> None:
        """Move the bar."""
        if not self._bar.disable:
            expected = list(ledger.expected())
            seen = len(expected) - len(ledger.missing())
            self._bar.update(self._signals, completed=len(ledger.taken) + len(ledger.refused))
            self._bar.update(self._statuses, completed=seen, total=max(1, len(expected)))
