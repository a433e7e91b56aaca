"""When people work in the Netherlands."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import holidays

ZONE = ZoneInfo("Europe/Amsterdam")
PUBLIC_HOLIDAYS = holidays.country_holidays("NL")


def working(at: datetime, opens: int, closes: int) -> bool:
    """Whether it is a weekday that is no public holiday, from `opens` up to before `closes` o'clock, in Amsterdam."""
    local = at.astimezone(ZONE)
    return local.weekday() < 5 and opens <= local.hour < closes and local.date() not in PUBLIC_HOLIDAYS
