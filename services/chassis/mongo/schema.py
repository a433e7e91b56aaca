"""What a service's database must be like: its indexes, and the steps that led to its present version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.chassis.mongo import answers, dead_letters, processing_log, store
from services.chassis.mongo.database import Database
from services.chassis.mongo.indexes import Index

CHASSIS: tuple[Index, ...] = (*store.INDEXES, *processing_log.INDEXES, *dead_letters.INDEXES, *answers.INDEXES)
Beat = Callable[[], Awaitable[None]]


class Step(NamedTuple):
    """Leads from the version before to `version`; in `docs/operations/migrate.md` is what it may do.

    `run(database, beat)` is called again where it was cut short, and may then meet what it has done. It awaits `beat`
    at least every few seconds, which raises where another process has gone on with it. `needs`: the oldest version of
    the program that understands the database afterwards.
    """

    version: int
    what: str
    run: Callable[[Database, Beat], Awaitable[None]]
    needs: int = 1


@dataclass(frozen=True)
class Schema:
    """Version 1 is the one without steps: the indexes alone, which are made at every version."""

    indexes: Sequence[Index]
    steps: Sequence[Step] = field(default=())

    def __post_init__(self) -> None:
        assert [step.version for step in self.steps] == list(range(2, self.version + 1)), "a step is missing"
        # Else the release before could not go on while this one comes.
        assert all(step.needs < step.version for step in self.steps), "a step shuts out the version before it"

    @property
    def version(self) -> int:
        """The version that this program makes of a database."""
        return 1 + len(self.steps)
