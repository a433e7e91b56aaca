"""A program that adds to a trail and signs it, and is killed (SIGKILL) at a step of that, again and again.

`python -m tests.integration.killed MONGO DATABASE FOLDER KILLS`. A step is a command to the database that will be sent,
was sent, or was answered, and a file or folder that is to be forced to disk, renamed or removed. It prints, a line
after each kill, the checkpoint in the second place, in base64; all of it is then looked at by the test that started it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

from pydantic import SecretStr
from pymongo import monitoring

from services.audit import events
from services.audit.contents import SubjectKeys
from services.audit.events import Writer, now
from services.audit.store import TrailStore
from services.chassis.keys import FileKeyProvider
from services.chassis.mongo.database import connect
from services.chassis.settings import MongoSettings
from tests.integration.audit import AlwaysHeld, Buried
from tests.integration.audit_signing import numbered, signer

BATCHES, BATCH, AGAIN = 3, 5, 2
FIRST = 85  # three of these lack one entry of a whole tile: what comes next fills it, and clears its partial files
PIECE = 2  # so that a batch is three of them, of which one is added while the next is made ready


class Steps(monitoring.CommandListener):
    """Counts the steps; at `deadly` the process dies, or a moment after it where that is odd and something was sent."""

    def __init__(self, deadly: int) -> None:
        self.count = 0
        self._deadly = deadly
        for name in ("fsync", "replace", "unlink", "rmdir"):
            self._before(name, getattr(os, name))

    def started(self, _: Any) -> None:
        if self.count + 1 == self._deadly and self._deadly % 2:
            self.count += 1
            Thread(target=_die_in, args=(0.0005 * (self._deadly % 7),), daemon=True).start()
        else:
            self.step()

    def succeeded(self, _: Any) -> None:
        self.step()

    def failed(self, _: Any) -> None:
        self.step()

    def step(self) -> None:
        self.count += 1
        if self.count == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def _before(self, name: str, real: Callable[..., Any]) -> None:
        def counted(*given: Any) -> Any:
            self.step()
            return real(*given)

        setattr(os, name, counted)


def _die_in(seconds: float) -> None:
    sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


async def work(settings: MongoSettings, folder: Path, batch: int) -> None:
    """Go on where the trail ends; the last of what is there comes once more, as it does after a crash."""
    client = connect(settings)
    database = client[settings.database]
    provider = FileKeyProvider(folder / "keys.json")
    store = TrailStore(database)
    signs = signer(database, folder / "place", provider=provider)
    keys = SubjectKeys(store, provider, now, 7)
    writer = Writer(store, AlwaysHeld(), Buried(), keys, added=signs.fresh.put)
    begin = max(0, await database["entries"].estimated_document_count() - AGAIN)
    for start in range(begin, begin + BATCHES * batch, batch):
        await asyncio.gather(writer.handle([numbered(n) for n in range(start, start + batch)]), signs.step())
    await signs.step()
    client.close()


def killed(settings: MongoSettings, folder: Path, deadly: int, batch: int = BATCH) -> bool:
    """Whether it was killed, or done before; at 0 it is not killed."""
    child = os.fork()
    if not child:
        events.PIECE = PIECE
        monitoring.register(Steps(deadly))
        asyncio.run(work(settings, folder, batch))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def main(mongo: str, database: str, folder: Path, kills: int) -> None:
    settings, deadly = MongoSettings(uri=SecretStr(mongo), database=database), 0
    if not (folder / "place").exists():
        killed(settings, folder, 0, FIRST)
    while kills:
        deadly += 1
        if killed(settings, folder, deadly):
            kills -= 1
            checkpoint = folder / "place/1/checkpoint"
            print(b64encode(checkpoint.read_bytes() if checkpoint.exists() else b"").decode(), flush=True)
        else:
            print("done", deadly, file=sys.stderr)
            deadly = 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
