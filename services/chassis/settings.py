"""Settings from the environment: one class and one prefix per outside system, every setting described."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsConfigDict
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from services.chassis.keys_settings import KeysSettings as KeysSettings  # noqa: PLC0414 - others import it from here
from services.chassis.section import Section as Section  # noqa: PLC0414
from services.chassis.telemetry_settings import TelemetrySettings as TelemetrySettings  # noqa: PLC0414


class HttpSettings(Section):
    """How a service listens."""

    model_config = SettingsConfigDict(env_prefix="HTTP_")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on.")
    max_body_bytes: int = Field(
        1_048_576, ge=1024, description="Largest request body; a route that streams has a limit of its own."
    )
    shutdown_s: int = Field(
        5, ge=0, le=300, description="How long open requests may take to end at a stop, in seconds."
    )


class KafkaSettings(Section):
    """The broker. The defaults suit Apache Kafka; the embedded broker is given shorter times by `hulpketen up`."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap: str = Field(
        description="Brokers to start from: host:port, several separated by commas.",
        pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$",
    )
    session_timeout_ms: int = Field(
        10_000, ge=500, le=300_000, description="A consumer that is silent for so long leaves its group."
    )
    heartbeat_interval_ms: int = Field(
        3_000, ge=100, le=100_000, description="How often a consumer tells its group that it lives."
    )
    request_timeout_ms: int = Field(
        10_000, ge=500, le=120_000, description="How long a request to the broker may take."
    )
    poll_timeout_ms: int = Field(
        1_000, ge=1, le=10_000, description="How long a consumer waits for records at a time; it wakes when they come."
    )
    fetch_wait_ms: int = Field(
        1_000, ge=1, le=5_000, description="How long the broker may hold a fetch that finds nothing, until data comes."
    )
    idempotent: bool = Field(True, description="Use the idempotent producer; the embedded broker has none.")
    incarnation_check_s: float = Field(
        5.0,
        gt=0,
        le=600,
        description="How often to look whether the broker is another one than before (it lost its log).",
    )
    make_topics: bool = Field(
        False, description="Make missing topics; for the embedded broker. On Kafka `hulpketen topics apply` makes them."
    )
    partitions: int = Field(6, ge=1, le=1_000, description="Partitions of each topic of the chain.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the connection is protected."
    )
    ca_file: FilePath | None = Field(
        None, description="Certificates of the authorities to trust, as PEM; the system's if not set."
    )
    cert_file: FilePath | None = Field(None, description="The service's own certificate, as PEM, for mutual TLS.")
    key_file: FilePath | None = Field(None, description="The key of that certificate, as PEM.")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the service signs in, with a SASL protocol."
    )
    sasl_username: str | None = Field(None, description="Name to sign in with.")
    sasl_password: SecretStr | None = Field(None, description="Password to sign in with.")

    @field_validator("heartbeat_interval_ms")
    @classmethod
    def _below_session_timeout(cls, value: int, info: ValidationInfo) -> int:
        if value * 2 > info.data.get("session_timeout_ms", value * 2):
            raise ValueError("must be at most half of KAFKA_SESSION_TIMEOUT_MS")
        return value

    @field_validator("sasl_password")
    @classmethod
    def _name_and_password(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("sasl_username") is None):
            raise ValueError("must be set together with KAFKA_SASL_USERNAME")
        if value is None and info.data.get("security_protocol", "").startswith("SASL"):
            raise ValueError("must be set, with KAFKA_SASL_USERNAME, for this KAFKA_SECURITY_PROTOCOL")
        return value

    @field_validator("key_file")
    @classmethod
    def _usable(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        """Tried here, where the answer can name the setting."""
        ca, cert = info.data.get("ca_file"), info.data.get("cert_file")
        if value and not cert:
            raise ValueError("must be set together with KAFKA_CERT_FILE")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if ca:
                context.load_verify_locations(ca)
        except (ssl.SSLError, OSError) as error:
            raise ValueError("KAFKA_CA_FILE holds no certificates as PEM") from error
        try:
            if cert:
                context.load_cert_chain(cert, value)
        except (ssl.SSLError, OSError) as error:
            raise ValueError("KAFKA_CERT_FILE and KAFKA_KEY_FILE are no certificate with its key, as PEM") from error
        return value


class MongoSettings(Section):
    """The service's own database."""

    model_config = SettingsConfigDict(env_prefix="MONGO_")

    uri: SecretStr = Field(description="Connection string of the replica set, mongodb:// or mongodb+srv://.")
    database: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,63}$", description="Name of the database; each service has its own."
    )
    timeout_ms: int = Field(
        5_000, ge=100, le=120_000, description="How long a command to the database may take in all."
    )
    migrate: bool = Field(
        True,
        description="Migrate the database at the start, indexes included; else wait for `hulpketen migrate`.",
    )

    @field_validator("uri")
    @classmethod
    def _is_mongodb(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must begin with mongodb:// or mongodb+srv://")
        try:
            # Its files are read, and an address behind +srv is not asked for.
            if value.get_secret_value().startswith("mongodb://"):
                MongoClient(value.get_secret_value(), connect=False).close()
        except (PyMongoError, OSError, ValueError) as error:
            # The driver's own words may repeat the password.
            raise ValueError(
                "cannot be used: escape @ : / % in name and password (%40 %3A %2F %25), and see that its files exist"
            ) from error
        return value


class AuthSettings(Section):
    """Who issues the tokens that a service accepts. Algorithms are fixed: RS256 and ES256."""

    model_config = SettingsConfigDict(env_prefix="AUTH_")

    issuer: str = Field(
        pattern=r"^https?://[^\s?#]+$",
        description="The issuer, exactly as in its tokens' `iss`; its discovery document is below it.",
    )
    audience: str = Field(pattern=r"^[a-z0-9-]{1,40}$", description="Name of this service in a token's `aud`.")
    jwks_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s#]+$",
        description="Where the issuer's keys are; from its discovery document if not set.",
    )
    discovery_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s#]+$",
        description="Where its discovery document is, if this service cannot reach the issuer by its public address; "
        "the document names the addresses that a service then uses.",
    )
    leeway_s: int = Field(10, ge=0, le=120, description="How far clocks may differ, in seconds.")
    refetch_s: float = Field(10.0, ge=0, le=3_600, description="Least time between two fetches of the issuer's keys.")


class LogSettings(Section):
    """The log on standard error, as JSON lines."""

    model_config = SettingsConfigDict(env_prefix="LOG_")

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is written.")


class ServiceSettings(Section):
    """Who the service is in the chain."""

    model_config = SettingsConfigDict(env_prefix="SERVICE_")

    oin: str = Field(
        "00000099000000000001",
        pattern=r"^\d{20}$",
        description="OIN of the organisation that runs it, in the source of events (prefix 00000099: for tests).",
    )


class PipelineSettings(Section):
    """How the service takes and publishes events."""

    model_config = SettingsConfigDict(env_prefix="PIPELINE_")

    batch_size: int = Field(500, ge=1, le=5_000, description="Most records that are taken at once.")
    outbox_limit: int = Field(
        100_000, ge=1, description="Aggregates that may wait for a broker that is away; beyond it commands get 503."
    )
    relay_after_s: float = Field(2.0, gt=0, le=600, description="Age at which an outbox is taken over by the relay.")
    gap_alarm_s: float = Field(60.0, gt=0, description="Age at which a gap in a stream raises the alarm.")
    lease_s: float = Field(5.0, gt=0, le=600, description="How long a lease lasts that is not renewed.")
    idempotency_keys: int = Field(50, ge=1, le=10_000, description="Idempotency keys that an aggregate remembers.")
    idempotency_hours: int = Field(24, ge=1, le=720, description="How long it remembers them.")
    kept_hours: float = Field(
        840,
        gt=0,
        le=87_600,
        description="How long published events are kept for a broker that loses its log; longer where a group lags.",
    )
    dead_letter_days: int = Field(
        30, ge=1, le=3_650, description="Age at which the key of a day's dead letters is destroyed."
    )


class ChassisSettings(BaseModel):
    """All that the chassis needs. A service adds its own section in a subclass, and makes it with `load`."""

    model_config = ConfigDict(frozen=True)

    service: ServiceSettings
    http: HttpSettings
    kafka: KafkaSettings
    mongo: MongoSettings
    auth: AuthSettings
    telemetry: TelemetrySettings
    keys: KeysSettings
    log: LogSettings
    pipeline: PipelineSettings


Settings = TypeVar("Settings", bound=BaseModel)


def sections(composition: type[BaseModel]) -> Iterator[tuple[str, type[Section]]]:
    """The sections of a composition, by the name of its field."""
    for name, field in composition.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, field.annotation


def load(composition: type[Settings]) -> Settings:
    """Read the settings of a service from the environment.

    Wrong ones: a line each on standard error that names the variable, what is wrong and what is allowed, and exit 2.
    """
    values: dict[str, Section] = {}
    wrong: list[str] = []
    for name, section in sections(composition):
        try:
            values[name] = section()
        except ValidationError as error:
            wrong += [_complaint(section, detail) for detail in error.errors(include_url=False, include_input=False)]
    if wrong:
        refuse(wrong)
    return composition.model_validate(values)


def variable(section: type[Section], field: str) -> str:
    """Name of the environment variable of a field."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()


def _complaint(section: type[Section], detail: ErrorDetails) -> str:
    field = str(detail["loc"][0]) if detail["loc"] else "*"
    found: FieldInfo | None = section.model_fields.get(field)
    allowed = f" ({found.description})" if found else ""
    what = "is missing" if detail["type"] == "missing" else f"is wrong: {detail['msg'].removeprefix('Value error, ')}"
    return f"{variable(section, field)} {what}{allowed}"


def refuse(wrong: list[str]) -> NoReturn:
    """Say on standard error what is wrong with settings, a line each, and exit 2."""
    for line in wrong:
        sys.stderr.write(f"setting {line}\n")
    raise SystemExit(2)
