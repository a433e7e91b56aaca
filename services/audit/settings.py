"""Settings of the audit: those of the chassis."""

from __future__ import annotations

from services.chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """Nothing is the audit's own yet."""
