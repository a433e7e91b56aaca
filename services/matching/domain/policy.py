"""What a municipality, or who runs the service, may set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """Days are whole days between two signals' own dates. `intake_url`: where the datarefs of events point."""

    matching_days: int = 31
    matching_days_of: Mapping[str, int] = field(default_factory=dict)
    repeated_days: int = 90
    intake_url: str = ""

    def matching_period(self, municipality: str) -> int:
        """Within how many days signals of several creditors make a case multiple."""
        return self.matching_days_of.get(municipality, self.matching_days)
