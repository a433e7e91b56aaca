"""What the tests of every kind share: a broker and a database, started once, embedded or in containers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from deploy.local.services import Elsewhere
from deploy.local.stack import LocalStack

EMBEDDED, CONTAINERS = "embedded", "containers"


class Infrastructure(Protocol):
    """A broker and a database that are kept running."""

    kafka: str
    """host:port of the broker."""
    mongo: str
    """A connection string of the database."""

    @property
    def settings(self) -> dict[str, Any]:
        """The section `kafka` of a service's settings."""

    @property
    def client(self) -> dict[str, Any]:
        """What aiokafka's clients need to connect."""

    def elsewhere(self) -> Elsewhere | None:
        """The same for the services of a LocalStack; None: it starts a broker and a database of its own."""

    def kill(self, name: str) -> None:
        """kill -9 the "broker" or the "database"; it is started again by itself."""


def variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """The section `kafka` of a service's settings as variables of its environment."""
    return {f"KAFKA_{name.upper()}": str(value) for name, value in settings.items()}


class Embedded:
    """The embedded ones on free ports, in a thread of their own."""

    def __init__(self, data: Path) -> None:
        self.stack = LocalStack(data, run=())
        self.kafka = self.stack.addresses["kafka"]
        self.mongo = self.stack.addresses["mongo"]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="infrastructure", daemon=True)

    @property
    def settings(self) -> dict[str, Any]:
        """It joins a group in half the session timeout, waits the whole time for records even where some come, and has
        no idempotent producer."""
        return {
            "bootstrap": self.kafka,
            "session_timeout_ms": 1000,
            "heartbeat_interval_ms": 200,
            "fetch_wait_ms": 30,
            "idempotent": False,
            "make_topics": True,
            "incarnation_check_s": 0.5,
        }

    @property
    def client(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.kafka}

    def elsewhere(self) -> Elsewhere | None:
        return None

    def start(self) -> None:
        self._thread.start()
        self._wait(self.stack.__aenter__())

    def stop(self) -> None:
        self._wait(self.stack.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def kill(self, name: str) -> None:
        self.stack.kill(name)

    def _wait(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()  # type: ignore[arg-type]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which broker and database."""
    parser.addoption(
        "--infrastructure",
        choices=(EMBEDDED, CONTAINERS),
        default=EMBEDDED,
        help="the broker and database of the tests: the embedded ones, or Apache Kafka and MongoDB in containers",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the embedded stack alone where that is not what the tests run on."""
    if config.getoption("--infrastructure") == EMBEDDED:
        return
    for item in items:
        if marker := item.get_closest_marker("embedded"):
            item.add_marker(pytest.mark.skip(reason=f"about the embedded stack alone: {marker.args[0]}"))


@pytest.fixture(scope="session")
def container_engine() -> None:
    """Skips where no container engine answers; with `REQUIRE_DOCKER=1` it fails instead."""
    from tests.containers.engine import why_not

    if missing := why_not():
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(f"REQUIRE_DOCKER=1, but {missing}", pytrace=False)
        pytest.skip(missing)


@pytest.fixture(scope="session")
def stack_infra(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """A real broker and database, for all tests of a process."""
    if request.config.getoption("--infrastructure") == CONTAINERS:
        request.getfixturevalue("container_engine")
        from tests.containers.infrastructure import Containers

        with Containers() as containers:
            yield containers
        return
    infrastructure = Embedded(tmp_path_factory.mktemp("infrastructure"))
    infrastructure.start()
    yield infrastructure
    infrastructure.stop()
