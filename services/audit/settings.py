"""The settings of the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, FilePath, SecretStr, model_validator

from services.audit.domain.register import Register
from services.audit.domain.unusual import Limits
from services.chassis.login import Client
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
    access_days: int = Field(
        180,
        ge=1,
        le=36_600,
        description="How long it is kept which employee looked. Not found in a source: the municipality's to choose.",
    )
    export_entries: int = Field(
        100_000, ge=1, le=10_000_000, description="How many entries an auditor's export may have at most."
    )
    batch_size: int = Field(
        4_000,
        ge=1,
        le=5_000,
        description="Most records that the audit takes at once; while the database has a part of them, the next part "
        "is made ready.",
    )
    key_period_days: int = Field(7, ge=1, le=366, description="Days for which new persons share a wrapping key.")
    origin: str = Field(
        "hulpketen.example/audit",
        pattern=r"^[a-z0-9.-]+(/[a-z0-9.-]+)*$",
        description="Name of the trail for everybody who checks it: an address of one's own, without a scheme, that no "
        "other log has. The number of the log is added, as in …/1. It stays the same for ever.",
    )
    place: Path | None = Field(
        None,
        description="The second place of the trail: a folder on another disk than the database's, for its tiles. "
        "All processes of the audit need the same one. Nothing is signed where it is not set.",
    )
    checkpoint_s: float = Field(
        10.0, gt=0, le=3_600, description="How long after a checkpoint the next one is signed, where the trail grew."
    )
    checkpoint_entries: int = Field(
        10_000, ge=1, le=1_000_000, description="After how many new entries a checkpoint is signed before that time."
    )
    announce_s: float = Field(
        900.0, gt=0, le=86_400, description="How often partners are told of the newest checkpoint, where there is one."
    )
    register_uri: str = Field(
        "https://hulpketen.example/processing-activities/",
        pattern=r"^https?://[!-~]+/$",
        description="What stands before the name of a processing activity in the processing log "
        "(`dpl.core.processing_activity_id`): the address of the municipality's own register.",
    )
    register_file: FilePath | None = Field(
        None,
        description="A file of the municipality's own with what it says of processing activities instead, such as the "
        "legal basis, in the form of services/audit/register.toml.",
    )
    resident_code_minutes: int = Field(30, ge=1, le=1_440, description="How long a resident's code counts.")
    resident_session_minutes: int = Field(
        15, ge=1, le=240, description="How long a resident sees the page after entering the code."
    )

    @property
    def register(self) -> Register:
        """The register of processing activities."""
        return Register.read(self.register_uri, self.register_file)

    @model_validator(mode="after")
    def _register_is_right(self) -> Self:
        _ = self.register
        return self


class PageSettings(Section):
    """Pages, under a host name of their own: the auditor's where all three are set, that of residents always."""

    model_config = Section.model_config | {"env_prefix": "AUDIT_PAGE_"}

    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+[^/\s?#])?$",
        description="Where browsers reach the pages, without a slash at the end: with https cookies need TLS.",
    )
    client_id: str = Field("", description="Name of the page at the issuer (OpenID Connect).")
    client_secret: SecretStr = Field(SecretStr(""), description="Its secret there.")

    @property
    def client(self) -> Client | None:
        """How the issuer knows the page; None where there is none."""
        secret = self.client_secret.get_secret_value()
        if not (self.public_url and self.client_id and secret):
            return None
        return Client(self.client_id, secret, self.public_url)


class UnusualSettings(Section):
    """From where on access is unusual. No law says so: each is the municipalities' to choose together."""

    model_config = Section.model_config | {"env_prefix": "AUDIT_UNUSUAL_"}

    people_times: float = Field(
        3.0, ge=1, le=1_000, description="An organisation looks at more than so many times the people of its own."
    )
    people_at_least: int = Field(
        20, ge=1, le=1_000_000, description="Fewer people than these are never far more than an organisation's own."
    )
    people_days: int = Field(
        365, ge=0, le=3_660, description="Days before the period in which a referral, case or signal counts as its own."
    )
    opens: int = Field(7, ge=0, le=23, description="The hour at which working time begins, in Amsterdam.")
    closes: int = Field(19, ge=1, le=24, description="The hour at which it ends.")
    outside_at_least: int = Field(
        5, ge=1, le=1_000_000, description="From how many looks outside working hours on it is unusual."
    )
    often_times: int = Field(
        10, ge=2, le=1_000_000, description="From how many looks of one employee at one person on it is unusual."
    )
    often_days: int = Field(7, ge=1, le=366, description="Within so many days.")
    looks: int = Field(
        50_000, ge=100, le=10_000_000, description="How many looks are gone through at once; more are refused."
    )

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("AUDIT_UNUSUAL_CLOSES must be later than AUDIT_UNUSUAL_OPENS")
        return self

    def limits(self) -> Limits:
        """As the rules take them."""
        return Limits(
            self.people_times,
            self.people_at_least,
            self.people_days,
            self.outside_at_least,
            self.often_times,
            self.often_days,
        )


class Settings(ChassisSettings):
    """All settings of the service."""

    audit: AuditSettings
    page: PageSettings = Field(default_factory=PageSettings)
    unusual: UnusualSettings = Field(default_factory=UnusualSettings)
