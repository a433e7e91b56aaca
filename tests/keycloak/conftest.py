"""One Keycloak for all tests here; skipped where there is none, which `REQUIRE_DOCKER=1` makes a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.keycloak import server


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Keycloak]:
    """A running Keycloak with the realm of the compose file."""
    try:
        server.home()
    except server.NoKeycloak as error:
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(f"REQUIRE_DOCKER=1, but {error}")
        pytest.skip(str(error))
    with server.running(tmp_path_factory.mktemp("keycloak")) as running:
        yield running
