"""Settings of traces: nowhere, to files, or to a collector."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from services.chassis.section import Section

_NEEDED = {"directory": "file", "endpoint": "otlp"}
_HEADER = re.compile(r"\s*([A-Za-z0-9-]+)\s*=\s*([^,\x00-\x1f\x7f]+?)\s*")


class TelemetrySettings(Section):
    """Traces. Never personal data in them."""

    model_config = SettingsConfigDict(env_prefix="TELEMETRY_")

    exporter: Literal["none", "file", "otlp"] = Field(
        "none", description="Where spans go: nowhere, to files of OTLP JSON lines, or to a collector by OTLP over HTTP."
    )
    sample_ratio: float = Field(
        0.05, ge=0, le=1, description="Part of new traces that is kept; a trace that is under way keeps its own choice."
    )
    queue: int = Field(
        20_000,
        ge=1_000,
        le=1_000_000,
        description="Spans that may wait for the exporter, of about a kilobyte each; beyond it the oldest are dropped.",
    )
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#@]+$",
        description="The collector, http://collector:4318 for example; `/v1/traces` is put behind it. Needed by the "
        "exporter `otlp`.",
    )
    headers: SecretStr | None = Field(
        None, description="Headers for the collector, a token for example: name=value, several separated by commas."
    )
    ca_file: FilePath | None = Field(
        None,
        description="Certificates of the authorities to trust for the collector, as PEM; certifi's if not set.",
    )
    timeout_s: float = Field(
        10.0, gt=0, le=60, description="How long a batch of spans is offered to the collector before it is dropped."
    )
    directory: Path | None = Field(None, description="Folder of the files; needed by the exporter `file`.")
    file_bytes: int = Field(
        16_777_216, ge=65_536, description="Size at which a file of spans is closed and another begun."
    )
    files: int = Field(
        8, ge=1, le=1_000, description="How many such files of a service are kept; the oldest goes first."
    )

    @field_validator("directory", "endpoint")
    @classmethod
    def _needed(cls, value: object, info: ValidationInfo) -> object:
        exporter = _NEEDED[str(info.field_name)]
        if value is None and info.data.get("exporter") == exporter:
            raise ValueError(f"must be set when TELEMETRY_EXPORTER is {exporter}")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(_HEADER.fullmatch(part) for part in value.get_secret_value().split(",")):
            raise ValueError("must be name=value, several separated by commas")
        return value

    def header_values(self) -> dict[str, str]:
        """The headers, by name."""
        given = self.headers.get_secret_value().split(",") if self.headers else []
        return {found[1]: found[2] for part in given if (found := _HEADER.fullmatch(part))}
