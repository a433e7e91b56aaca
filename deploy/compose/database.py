"""`python -m deploy.compose.database`: makes the replica set, and a user for each service who sees its own database.

It runs in the network of the database's container: until there is a user, MongoDB lets in who comes from there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from deploy.compose.secrets import REPLICA_SET
from deploy.local.ports import SERVICES

SECRETS = Path("/run/secrets")
ADMIN = "admin"
_WITHIN_S = 60.0
_MEMBERS = [{"_id": 0, "host": "mongo:27017"}]
_ALREADY_INITIALISED, _UNAUTHORIZED, _AUTHENTICATION_FAILED, _USER_EXISTS = 23, 13, 18, 51003
Client = MongoClient[dict[str, Any]]


def main() -> None:
    """Try until it is done, for a minute: the database may still be starting."""
    end = time.monotonic() + _WITHIN_S
    while True:
        try:
            _prepare()
            return
        except PyMongoError as error:
            if time.monotonic() > end:
                sys.exit(f"the database was not ready within {_WITHIN_S:.0f} s: {error}; look at its log")
        time.sleep(0.5)


def _prepare() -> None:
    password = _secret("mongo-admin")
    with _client() as nobody:
        _ignoring(nobody.admin, {"replSetInitiate": {"_id": REPLICA_SET, "members": _MEMBERS}}, _ALREADY_INITIALISED)
        # There is a user already: then this door is closed.
        roles = ["userAdminAnyDatabase", "clusterAdmin", "readWriteAnyDatabase", "backup", "restore"]
        _ignoring(nobody.admin, {"createUser": ADMIN, "pwd": password, "roles": roles}, _USER_EXISTS)
    with _client(username=ADMIN, password=password) as admin:
        for name in SERVICES:
            _user(admin[f"hulpketen_{name}"], name, _secret(f"mongo-{name}"))


def _user(database: Database[dict[str, Any]], name: str, password: str) -> None:
    """A user of one database alone; with the volume's password, also where the user was there."""
    settings = {"pwd": password, "roles": ["readWrite"]}
    command = "updateUser" if database.command("usersInfo", name)["users"] else "createUser"
    database.command({command: name, **settings})


def _ignoring(database: Database[dict[str, Any]], command: dict[str, Any], done: int) -> None:
    try:
        database.command(command)
    except OperationFailure as error:
        if error.code not in (done, _UNAUTHORIZED, _AUTHENTICATION_FAILED):
            raise


def _client(username: str | None = None, password: str | None = None) -> Client:
    return MongoClient(
        "127.0.0.1", directConnection=True, serverSelectionTimeoutMS=2000, username=username, password=password
    )


def _secret(name: str) -> str:
    return (SECRETS / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
