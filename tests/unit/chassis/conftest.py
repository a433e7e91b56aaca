"""What tests of the chassis share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis import telemetry
from services.chassis.issuer import Issuer
from services.chassis.settings import ChassisSettings, HttpSettings, TelemetrySettings
from tests.unit.chassis.issuer import ISSUER, TestIssuer
from tests.unit.chassis.unconnected import unconnected


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
    return unconnected(tmp_path, http=HttpSettings(max_body_bytes=4_096))


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
