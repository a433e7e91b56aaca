"""What may be asked of the trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hulpketen_contracts import CATALOGUE

MAX_PER_PAGE = 500
MAX_PAGE = 10_000
# What the database can hold, and what an entry may have.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Search:
    """A question to the trail: entries from `since` up to and including `until`, of one type, of one case, of one
    activity, of one organisation that acted."""

    since: datetime | None = None
    until: datetime | None = None
    type: str | None = None
    case: str | None = None
    activity: str | None = None
    organisation: str | None = None

    @property
    def backwards(self) -> bool:
        """Whether the period ends before it starts."""
        return self.since is not None and self.until is not None and self.until < self.since

    @property
    def needs_a_period(self) -> bool:
        """Whether all entries of the period have to be read, of whatever type: then there must be one.

        There is no index for it, since each entry would pay for that.
        """
        read = (self.activity or self.organisation) and not (self.type or self.case)
        return bool(read and (self.since is None or self.until is None))

    @property
    def types(self) -> Sequence[str] | None:
        """The types that an entry may have; None: any, or what else is asked leads to few."""
        if self.type:
            return [self.type]
        if self.activity and not self.case:
            # An event that has no activity of its own says which one it is: a line of the processing log.
            return [name for name, event in CATALOGUE.items() if event.ACTIVITY in ("", self.activity)]
        return None


@dataclass(frozen=True, slots=True)
class LinesAsked:
    """A question to the processing log: lines of one activity, of one trace (16 bytes), about any of these persons,
    written from `since` up to and including `until`."""

    activity: str | None = None
    trace: bytes | None = None
    persons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
