"""A database as it is in production: everybody signs in, and each user has what it was given."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from deploy.local import binaries, ports

Client = MongoClient[dict[str, Any]]
_WITHIN_S = 60


class Guarded:
    """The embedded mongod with sign-in on."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self.root: Client = MongoClient(ports.HOST, port, directConnection=True, username="root", password=password)

    def add_user(self, name: str) -> str:
        """A user with the role `readWrite` on the database of that name alone; how it connects."""
        password = secrets.token_urlsafe(16)
        self.root[name].command("createUser", name, pwd=password, roles=["readWrite"])
        return f"mongodb://{name}:{password}@{ports.HOST}:{self._port}/?replicaSet=rs0&authSource={name}"

    async def block_writes(self, blocked: bool) -> None:
        """Have it refuse each write, as one does whose disk is full."""
        await asyncio.to_thread(self.root.admin.command, {"setUserWriteBlockMode": 1, "global": blocked})


@contextmanager
def guarded(folder: Path) -> Iterator[Guarded]:
    """It runs until the end."""
    key, data, port, password = folder / "key", folder / "db", ports.free_base(), secrets.token_urlsafe(16)
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    data.mkdir()
    where = ["--dbpath", str(data), "--bind_ip", ports.HOST, "--port", str(port), "--nounixsocket", "--quiet"]
    command = [str(binaries.mongod()), "--replSet", "rs0", *where, "--auth", "--keyFile", str(key)]
    mongod = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client: Client = MongoClient(ports.HOST, port, directConnection=True)
        with client:
            _begin(client, f"{ports.HOST}:{port}", password)
        database = Guarded(port, password)
        yield database
        database.root.close()
    finally:
        mongod.kill()
        mongod.wait()


def _begin(client: Client, host: str, password: str) -> None:
    """Make the replica set and its first user, as only who comes first from the same machine may."""
    end = time.monotonic() + _WITHIN_S
    while True:
        try:
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": host}]})
            break
        except AutoReconnect:
            assert time.monotonic() < end
    while not client.admin.command("hello")["isWritablePrimary"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    client.admin.command("createUser", "root", pwd=password, roles=["root"])
