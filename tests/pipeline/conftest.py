"""The same tests for the pipeline's ports in memory and for the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.pipeline.pairs import Brokers, KafkaBrokers, MemoryBrokers, Stores, stores_in_memory, stores_in_mongo


@pytest.fixture(params=["memory", "mongodb"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """A database of one service, with nothing in it."""
    if request.param == "memory":
        yield stores_in_memory()
        return
    async with stores_in_mongo(request.getfixturevalue("stack_infra"), tmp_path) as stores:
        yield stores


@pytest.fixture(params=["memory", "kafka"])
def brokers(request: pytest.FixtureRequest) -> Brokers:
    """A broker; on the real one there are the topics and groups of other tests as well."""
    if request.param == "memory":
        return MemoryBrokers()
    return KafkaBrokers(request.getfixturevalue("stack_infra"))
