"""The embedded broker and database as programs of the stack."""

from __future__ import annotations

import asyncio
import os
import uuid

from aiokafka.admin import AIOKafkaAdminClient
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local import binaries
from deploy.local.folder import DataFolder
from deploy.local.ports import HOST
from deploy.local.process import Program

REPLICA_SET = "hulpketen"
_NOT_YET_INITIALISED = 94


def broker(folder: DataFolder, port: int) -> Program:
    """Tansu, in memory only. Its cluster id is a fresh one at each start: so services learn that its log is gone."""
    program = binaries.tansu()
    url = f"tcp://{HOST}:{port}"

    def command() -> list[str]:
        listeners = ["--listener-url", url, "--advertised-listener-url", url]
        return [str(program), "broker", "--cluster-id", uuid.uuid4().hex, *listeners, "--storage-engine", "memory://tansu/"]

    async def ready() -> bool:
        return await _broker_answers(port)

    environment = {"PATH": os.environ.get("PATH", ""), "RUST_LOG": "error"}
    return Program("broker", command, folder.logs / "broker.log", ready, environment)


def database(folder: DataFolder, port: int) -> Program:
    """mongod as a replica set of one. `initialise` must be called once it answers."""
    program = binaries.mongod()

    def command() -> list[str]:
        where = ["--dbpath", str(folder.mongo), "--bind_ip", HOST, "--port", str(port), "--nounixsocket"]
        size = ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256"]
        quiet = ["--quiet", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        # A replica set of one has nobody to hand over to when it is told to stop.
        stop = ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
        return [str(program), "--replSet", REPLICA_SET, *where, *size, *quiet, *stop]

    async def ready() -> bool:
        return await _initialised(port)

    return Program("database", command, folder.logs / "database.log", ready, dict(os.environ), stop_within_s=30)


def mongo_uri(port: int) -> str:
    """The address that services connect to; no weaker write concern is in use anywhere."""
    return f"mongodb://{HOST}:{port}/?replicaSet={REPLICA_SET}&w=majority&journal=true"


async def _broker_answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


async def cluster_id(port: int) -> str:
    """The id of the broker's present life. Raises: KafkaError where it does not answer."""
    client = AIOKafkaAdminClient(bootstrap_servers=f"{HOST}:{port}")
    await client.start()
    try:
        described = await client.describe_cluster()
    finally:
        await client.close()
    return str(described["cluster_id"])


async def _initialised(port: int) -> bool:
    """Whether mongod takes writes; makes the replica set at the first start and moves it to another port."""
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(
        HOST, port, directConnection=True, serverSelectionTimeoutMS=200, connectTimeoutMS=200
    )
    try:
        return await _take_part(client, f"{HOST}:{port}")
    except PyMongoError:
        return False
    finally:
        await client.close()


async def _take_part(client: AsyncMongoClient[dict[str, object]], host: str) -> bool:
    hello = await client.admin.command("hello")
    if hello.get("isWritablePrimary"):
        return bool(hello.get("me") == host)
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALISED:
            members = [{"_id": 0, "host": host}]
            await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return False
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        await client.admin.command("replSetReconfig", config, force=True)
    return False
