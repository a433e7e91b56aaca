"""Settings of matching."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ChassisSettings, Section
from services.matching.domain.policy import Policy

Days = Annotated[int, Field(ge=1, le=366)]


class MatchingSettings(Section):
    """What matching is told. No source gives the number of days of a repeated signal: it is a choice."""

    model_config = SettingsConfigDict(env_prefix="MATCHING_")

    period_days: Days = Field(
        31, description="The matching period: signals of several creditors within it make a case multiple, in days."
    )
    period_days_of: dict[Annotated[str, Field(pattern=r"^[0-9]{4}$")], Days] = Field(
        default_factory=dict,
        description='The matching period of a municipality with one of its own, by its code: {"0106": 28}.',
    )
    repeated_days: Days = Field(
        90, description="A signal that is not higher than one of the same sender within these days is a repeated one."
    )
    intake_url: str = Field(
        "",
        pattern=r"^(https?://[!-~]{1,200}[^/])?$",
        description="Public address of intake, which the dataref of an event points at; empty: relative to it.",
    )
    directory_refresh_s: float = Field(
        2.0, ge=0.05, le=60, description="How often to look for changes of the directory by another process."
    )

    def policy(self) -> Policy:
        """As the decisions take it."""
        return Policy(self.period_days, self.period_days_of, self.repeated_days, self.intake_url)


class Settings(ChassisSettings):
    """All of matching's settings."""

    matching: MatchingSettings
