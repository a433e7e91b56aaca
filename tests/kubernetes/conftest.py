"""What the tests of the manifests share."""

from __future__ import annotations

import pytest

from tests.kubernetes.manifests import OVERLAYS, Rendered


@pytest.fixture(params=OVERLAYS)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Each overlay, put together."""
    return Rendered(request.param)
