"""The settings of the audit."""

from __future__ import annotations

from pydantic import Field

from services.chassis.settings import ChassisSettings, Section


class AuditSettings(Section):
    """What the audit itself needs to know."""

    model_config = Section.model_config | {"env_prefix": "AUDIT_"}

    gather_s: float = Field(
        0.2,
        ge=0,
        le=10,
        description="How long to wait after a batch that was not full, so that the next one is larger: "
        "an entry costs a quarter in a batch of 500 of what it costs in one of 20.",
    )
    key_period_days: int = Field(7, ge=1, le=366, description="Days for which new persons share a wrapping key.")


class Settings(ChassisSettings):
    """All settings of the service."""

    audit: AuditSettings
