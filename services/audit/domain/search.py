"""What may be asked of the trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_PER_PAGE = 500
MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """A question to the trail: entries from `since` up to and including `until`, of one type, of one case."""

    since: datetime | None = None
    until: datetime | None = None
    type: str | None = None
    case: str | None = None

    @property
    def backwards(self) -> bool:
        """Whether the period ends before it starts."""
        return self.since is not None and self.until is not None and self.until < self.since
