"""Spans to a collector by OTLP over HTTP, with OpenTelemetry's own exporter. Imported where it is used: it is large."""

from __future__ import annotations

import logging
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from services.chassis.telemetry_settings import TelemetrySettings

_LIBRARY = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class OtlpExporter(OTLPSpanExporter):
    """`outcome`: what became of the last attempt, a status or the name of an error, for whoever mends the way."""

    def __init__(self, settings: TelemetrySettings) -> None:
        self._session = _Session()
        super().__init__(
            endpoint=f"{str(settings.endpoint).removesuffix('/')}/v1/traces",
            certificate_file=str(settings.ca_file) if settings.ca_file else None,
            headers=settings.header_values(),
            timeout=settings.timeout_s,
            compression=Compression.Gzip,
            session=self._session,
        )
        # The queue says once that the collector is away, and once that it is back; this would say it for each batch.
        logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL)

    @property
    def outcome(self) -> str:
        return self._session.outcome


class _Session(requests.Session):
    """No proxy and no password file of the environment: as all clients of the services."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.outcome = "nothing was sent"

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            answer = super().request(*args, **kwargs)
        except Exception as error:
            self.outcome = type(error).__name__
            raise
        self.outcome = str(answer.status_code)
        return answer
