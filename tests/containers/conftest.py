"""What the tests with containers share. Without an engine they are skipped; `REQUIRE_DOCKER=1` makes that a failure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers import engine

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the engine."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session", autouse=True)
def _needs_the_engine(container_engine: None) -> None:
    """Every test of this folder."""


@pytest.fixture(scope="session")
def kafka(container_engine: None) -> Iterator[engine.Kafka]:
    """A cluster of one node, for all tests of a process: take topics and users of your own."""
    with engine.Kafka() as kafka:
        yield kafka


@pytest.fixture(scope="session")
def mongo(container_engine: None) -> Iterator[engine.Mongo]:
    """A replica set of one member, for all tests of a process: take a database of your own."""
    with engine.Mongo() as mongo:
        yield mongo
