"""What the tests of every kind share: an embedded broker and database, started once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import LocalStack


class Infrastructure:
    """A broker and a database on free ports, kept running in a thread of their own."""

    def __init__(self, data: Path) -> None:
        self.stack = LocalStack(data, run=())
        self.kafka = self.stack.addresses["kafka"]
        self.mongo = self.stack.addresses["mongo"]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="infrastructure", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._wait(self.stack.__aenter__())

    def stop(self) -> None:
        self._wait(self.stack.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def kill(self, name: str) -> None:
        """kill -9 the "broker" or the "database"; it is started again by itself."""
        self.stack.kill(name)

    def _wait(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def stack_infra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Infrastructure]:
    """`.kafka` (host:port) and `.mongo` (a connection string) of a real broker and database; `.kill(name)`."""
    infrastructure = Infrastructure(tmp_path_factory.mktemp("infrastructure"))
    infrastructure.start()
    yield infrastructure
    infrastructure.stop()
