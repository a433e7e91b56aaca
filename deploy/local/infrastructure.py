"""The embedded broker and database as programs of the stack."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local import binaries
from deploy.local.folder import DataFolder
from deploy.local.ports import HOST
from deploy.local.process import Program

Client = MongoClient[dict[str, Any]]
REPLICA_SET = "hulpketen"
_NOT_YET_INITIALISED = 94
_PARAMETERS = {
    "diagnosticDataCollectionEnabled": "false",
    # Else it holds on to a hundred megabytes that it no longer uses.
    "tcmallocMaxTotalThreadCacheBytes": str(8 << 20),
    "tcmallocReleaseRate": "10",
    "tcmallocAggressiveMemoryDecommit": "1",
    # A replica set of one has nobody to hand over to when it is told to stop.
    "shutdownTimeoutMillisForSignaledShutdown": "100",
}


def broker(folder: DataFolder, port: int) -> Program:
    """Tansu, in memory only. Its cluster id is a fresh one at each start: so services learn that its log is gone."""
    program = binaries.tansu()
    url = f"tcp://{HOST}:{port}"

    def command() -> list[str]:
        listeners = ["--listener-url", url, "--advertised-listener-url", url]
        return [
            str(program),
            "broker",
            "--cluster-id",
            uuid.uuid4().hex,
            *listeners,
            "--storage-engine",
            "memory://tansu/",
        ]

    async def ready() -> bool:
        return await _listens(port)

    environment = {"PATH": os.environ.get("PATH", ""), "RUST_LOG": "error", "MALLOC_ARENA_MAX": "1"}
    return Program("broker", command, folder.logs / "broker.log", ready, environment)


def database(folder: DataFolder, port: int, cache_mb: int = 48) -> Program:
    """mongod as a replica set of one. `initialise` must be called once it answers."""
    program = binaries.mongod()

    def command() -> list[str]:
        where = ["--dbpath", str(folder.mongo), "--bind_ip", HOST, "--port", str(port), "--nounixsocket"]
        # The option for the cache takes no less than 256 MB, of which a laptop has no use; in a small one the default
        # limits would have pages written again and again.
        cache = [f"cache_size={cache_mb}MB"]
        for kind, target, trigger in (("dirty", 40, 70), ("updates", 30, 60)):
            cache += [f"eviction_{kind}_target={target}", f"eviction_{kind}_trigger={trigger}"]
        size = ["--wiredTigerEngineConfigString", ",".join(cache), "--oplogSize", "256"]
        parameters = [word for name, value in _PARAMETERS.items() for word in ("--setParameter", f"{name}={value}")]
        # What it writes of a slow command is the command, with pseudonyms and what the sender called things.
        quiet = ["--quiet", "--slowOpSampleRate", "0"]
        return [str(program), "--replSet", REPLICA_SET, *where, *size, *parameters, *quiet]

    async def ready() -> bool:
        return await _listens(port) and await asyncio.to_thread(_initialised, port)

    return Program("database", command, folder.logs / "database.log", ready, dict(os.environ), stop_within_s=30)


def mongo_uri(port: int) -> str:
    """The address that services connect to; no weaker write concern is in use anywhere."""
    return f"mongodb://{HOST}:{port}/?replicaSet={REPLICA_SET}&w=majority&journal=true"


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _initialised(port: int) -> bool:
    """Whether mongod takes writes; makes the replica set at the first start and moves it to another port."""
    # Not PyMongo's asynchronous client: its monitor leaves sockets open when a database does not answer.
    client: Client = MongoClient(HOST, port, directConnection=True, serverSelectionTimeoutMS=200, connectTimeoutMS=200)
    try:
        return _take_part(client, f"{HOST}:{port}")
    except PyMongoError:
        return False
    finally:
        client.close()


def _take_part(client: Client, host: str) -> bool:
    hello = client.admin.command("hello")
    if hello.get("isWritablePrimary"):
        return bool(hello.get("me") == host)
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALISED:
            members = [{"_id": 0, "host": host}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return False
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    return False
