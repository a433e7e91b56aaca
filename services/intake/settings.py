"""The settings of intake."""

from __future__ import annotations

from pydantic import Field, HttpUrl, field_validator

from services.chassis.settings import ChassisSettings, Section
from services.intake.domain.basis import parse_grants


class IntakeSettings(Section):
    """What intake itself needs to know."""

    model_config = Section.model_config | {"env_prefix": "INTAKE_"}

    messages_url: HttpUrl | None = Field(
        None,
        description="Gateway that sends codes: POST {to, channel, text}. Without it a professional confirms choices.",
    )
    messages_timeout_s: float = Field(5.0, gt=0, le=60, description="How long that gateway may take.")
    legal_bases: str = Field(
        "",
        description="Bases of municipalities and experiments beyond the law: "
        "<municipality>:<type>=<source>[|<from>/<to>][|<organisations>], several separated by semicolons.",
    )
    answer_step_ms: int = Field(
        100,
        ge=0,
        le=5_000,
        description="A signal or delivery is answered at whole steps after it came, so that the time does not tell "
        "whether somebody is known; best longer than a signal takes. 0: at once.",
    )
    delivery_max_bytes: int = Field(268_435_456, ge=1_024, description="Largest delivery, in bytes.")
    delivery_max_lines: int = Field(500_000, ge=1, description="Most lines or records in a delivery.")
    delivery_line_bytes: int = Field(
        65_536, ge=1_024, le=1_048_576, description="Longest line or record of a delivery."
    )
    delivery_batch: int = Field(500, ge=1, le=5_000, description="Lines of a delivery that are taken at once.")
    delivery_key_hours: int = Field(
        24, ge=1, le=720, description="How long a delivery's idempotency key is remembered."
    )
    code_minutes: int = Field(15, ge=1, le=60, description="How long a code holds that proves a resident's contact.")
    code_attempts: int = Field(5, ge=1, le=10, description="How often such a code may be tried.")
    codes_each_day: int = Field(
        10, ge=1, le=1_000, description="How many codes go to one telephone or mailbox in a day, of all tests together."
    )
    choice_days: int = Field(
        30, ge=1, le=366, description="How long a choice waits to be confirmed; its contact details are removed then."
    )
    key_period_days: int = Field(7, ge=1, le=366, description="Days for which new persons share a wrapping key.")

    @field_validator("legal_bases")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_grants(value)
        return value


class Settings(ChassisSettings):
    """All settings of the service."""

    intake: IntakeSettings
