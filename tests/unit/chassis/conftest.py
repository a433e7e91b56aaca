"""What tests of the chassis share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.chassis import telemetry
from services.chassis.issuer import Issuer
from services.chassis.settings import (
    AuthSettings,
    ChassisSettings,
    HttpSettings,
    KafkaSettings,
    KeysSettings,
    LogSettings,
    MongoSettings,
    PipelineSettings,
    ServiceSettings,
    TelemetrySettings,
)
from tests.unit.chassis.issuer import AUDIENCE, ISSUER, TestIssuer


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def _issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
def issuer(_issuer: TestIssuer) -> TestIssuer:
    _issuer.published = [_issuer.rsa, _issuer.ec]
    _issuer.name, _issuer.away, _issuer.key_requests = ISSUER, False, 0
    _issuer.codes, _issuer.token_answer = {}, {}
    return _issuer


@pytest.fixture
def settings(tmp_path: Path) -> ChassisSettings:
    return ChassisSettings(
        service=ServiceSettings(),
        http=HttpSettings(max_body_bytes=4_096),
        kafka=KafkaSettings(bootstrap="127.0.0.1:9092"),
        mongo=MongoSettings(uri=SecretStr("mongodb://127.0.0.1:1"), database="hulpketen_test"),
        auth=AuthSettings(issuer=ISSUER, audience=AUDIENCE),
        telemetry=TelemetrySettings(),
        keys=KeysSettings(file=tmp_path / "keys" / "test.json"),
        log=LogSettings(),
        pipeline=PipelineSettings(),
    )


@pytest.fixture
def known_issuer(issuer: TestIssuer, settings: ChassisSettings) -> Issuer:
    return Issuer(settings.auth, issuer.transport)


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Path]:
    """Traces are sampled and written below this folder."""
    folder = tmp_path / "traces"
    telemetry.setup("test", TelemetrySettings(exporter="file", directory=folder, sample_ratio=1))
    yield folder
    telemetry.shutdown()
