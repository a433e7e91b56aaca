"""The settings of notifications."""

from __future__ import annotations

from pydantic import Field, SecretStr

from services.chassis.settings import ChassisSettings, Section


class NotificationsSettings(Section):
    """What notifications itself needs to know."""

    model_config = Section.model_config | {"env_prefix": "NOTIFICATIONS_"}

    matching_url: str = Field(
        pattern=r"^https?://[^\s?#]+$", description="Where matching is, for the buttons of the board."
    )
    intake_url: str = Field(pattern=r"^https?://[^\s?#]+$", description="Where intake is, for who a referral is about.")
    audit_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="Where the audit is, for the codes of residents; empty: the board gives none.",
    )
    upstream_timeout_s: float = Field(10.0, gt=0, le=60, description="How long any of these may take to answer.")
    public_url: str = Field(
        pattern=r"^https?://[^\s?#]+[^/\s?#]$",
        description="Where browsers reach the board, without a slash at the end.",
    )
    client_id: str = Field(min_length=1, description="Name of the board at the issuer (OpenID Connect).")
    client_secret: SecretStr = Field(description="Its secret there.")
    heartbeat_s: float = Field(15.0, gt=0, le=120, description="A stream that is silent sends a comment so often.")
    stall_s: float = Field(30.0, gt=0, le=600, description="A reader that takes nothing for so long is let go.")
    streams: int = Field(2_500, ge=1, le=100_000, description="Most open streams of this process.")
    streams_per_organisation: int = Field(100, ge=1, description="Most open streams of one organisation here.")
    lines_held: int = Field(
        20_000, ge=0, description="Newest lines of feeds with readers that are held in memory, of all together."
    )
    page: int = Field(100, ge=1, le=1_000, description="Most lines of a feed that are read from the database at once.")
    feed_days: float = Field(
        35, gt=0, le=3_650, description="How long lines of feeds are kept; readers further behind begin again."
    )


class Settings(ChassisSettings):
    """All settings of the service."""

    notifications: NotificationsSettings
