"""A broker and a database of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CONTAINERS, Embedded, Infrastructure


@pytest.fixture
def infrastructure(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Infrastructure]:
    """One that no other test knows: a service that was restored reads all that the broker holds."""
    if request.config.getoption("--infrastructure") == CONTAINERS:
        request.getfixturevalue("container_engine")
        from tests.containers.infrastructure import Containers

        with Containers() as containers:
            yield containers
        return
    embedded = Embedded(tmp_path / "infrastructure")
    embedded.start()
    try:
        yield embedded
    finally:
        embedded.stop()
