"""Backup and restore of databases: of one moment, all or nothing, and never over what is in use."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import ASCENDING

from deploy.backup.archive import BackupError, identities, new_key, recipient
from deploy.backup.dump import dump
from deploy.backup.load import Plan, check, erased_now, load
from deploy.backup.places import Client, connected, databases
from services.chassis.mongo.database import connect
from services.chassis.mongo.restored import ERASURES, RestoredDatabase
from services.chassis.preflight import NotReady
from services.chassis.settings import MongoSettings
from tests.conftest import Infrastructure

PERSON = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def client(stack_infra: Infrastructure) -> Iterator[Client]:
    with connected(stack_infra.mongo) as one:
        yield one


@pytest.fixture
def places(client: Client) -> Iterator[dict[str, str]]:
    """Databases of the test's own, by service."""
    names = dict(databases(("intake", "matching"), f"backup_{uuid.uuid4().hex[:8]}_"))
    yield names
    for name in names.values():
        client.drop_database(name)


class File:
    """A backup and its key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path, self.key = folder / "backup.age", folder / "backup.key"
        self.public = new_key(self.key)

    def dump(self, client: Client, places: dict[str, str]) -> int:
        return dump(client, places, self.path, [recipient(self.public)]).documents

    def load(self, client: Client, places: dict[str, str], *, replace: bool = False, erased: str = "") -> None:
        erasures = frozenset(filter(None, [erased]))
        load(client, self.path, identities(self.key), Plan(places, replace, erasures))


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


def fill(client: Client, places: dict[str, str], count: int = 1_500) -> None:
    for name in places.values():
        client[name]["aggregates"].create_index([("state.n", ASCENDING)], name="by_n", sparse=True)
        client[name]["aggregates"].insert_many([{"_id": f"a-{n}", "state": {"n": n}} for n in range(count)])
        client[name]["sessions"].insert_one({"_id": "somebody"})


def test_what_comes_back_is_what_there_was(client: Client, places: dict[str, str], file: File) -> None:
    fill(client, places)
    assert file.dump(client, places) == 3_000
    found = check(file.path, identities(file.key))
    assert (found.services, found.documents) == (["intake", "matching"], {"intake": 1_500, "matching": 1_500})
    for name in places.values():
        client[name]["aggregates"].delete_many({"state.n": {"$lt": 700}})
        client[name]["later"].insert_one({"_id": 1})
    file.load(client, places, replace=True)
    for name in places.values():
        assert client[name]["aggregates"].count_documents({}) == 1_500
        assert client[name]["aggregates"].index_information()["by_n"]["sparse"]
        assert client[name]["sessions"].find_one() is None  # nobody who signed out is signed in again
        assert client[name]["later"].find_one() is None


def test_all_databases_are_of_one_moment(client: Client, places: dict[str, str], file: File) -> None:
    """While a writer goes on: in the second database never more than in the first, which is always written first."""
    fill(client, places, 3_000)
    first, second = places.values()
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            for name in (first, second):
                client[name]["aggregates"].insert_one({"_id": f"b-{n}"})
            n += 1

    writing = threading.Thread(target=write)
    writing.start()
    try:
        file.dump(client, places)
    finally:
        stop.set()
        writing.join()
    file.load(client, places, replace=True)
    counts = [client[name]["aggregates"].count_documents({}) for name in (first, second)]
    assert counts[0] - counts[1] in (0, 1)


def test_what_is_there_is_dropped_only_when_told(client: Client, places: dict[str, str], file: File) -> None:
    fill(client, places, 3)
    file.dump(client, places)
    with pytest.raises(BackupError, match="is not empty: --replace"):
        file.load(client, places)


def test_a_service_that_runs_is_not_restored(client: Client, places: dict[str, str], file: File) -> None:
    fill(client, places, 3)
    file.dump(client, places)
    lease = {"_id": "relay", "holder": "host-1", "until": datetime.now(UTC) + timedelta(minutes=1)}
    client[places["matching"]]["leases"].insert_one(lease)
    with pytest.raises(BackupError, match=r"matching is running \(host-1\): stop it"):
        file.load(client, places, replace=True)
    assert client[places["intake"]]["aggregates"].count_documents({}) == 3


@pytest.mark.asyncio
async def test_no_service_begins_on_half_a_restore(
    stack_infra: Infrastructure, client: Client, places: dict[str, str], file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, places, 3)
    file.dump(client, places)

    def broken(*_: object) -> None:
        raise BackupError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("deploy.backup.load._Loading.__call__", broken)
        with pytest.raises(BackupError, match="the disk is full"):
            file.load(client, places, replace=True)
    name = places["matching"]
    service = connect(MongoSettings.model_validate({"uri": stack_infra.mongo, "database": name}))
    try:
        with pytest.raises(NotReady, match="run 'hulpketen restore' again"):
            await RestoredDatabase(service[name]).mark()
        file.load(client, places)  # again: what is there is half of a restore, and nobody's
        mark = await RestoredDatabase(service[name]).mark()
        assert mark is not None
        assert not mark.whole
    finally:
        service.close()


def test_nothing_is_changed_by_a_file_that_is_not_whole(client: Client, places: dict[str, str], file: File) -> None:
    fill(client, places, 30)
    file.dump(client, places)
    content = bytearray(file.path.read_bytes())
    content[-40] ^= 1
    file.path.write_bytes(content)
    with pytest.raises(BackupError, match="cut short or was changed"):
        file.load(client, places, replace=True)
    for name in places.values():
        assert client[name]["sessions"].find_one() is not None


def test_wrapped_keys_are_backed_up_apart(client: Client, places: dict[str, str], file: File, tmp_path: Path) -> None:
    fill(client, places, 1)
    keys = client[places["intake"]]["keys"]
    keys.insert_one({"_id": "master/1", "wrapped": b"1"})
    assert file.dump(client, places) == 2
    apart = File(tmp_path / "apart")
    assert dump(client, places, apart.path, [recipient(apart.public)], keys=True).documents == 1
    file.load(client, places, replace=True)
    assert [each["_id"] for each in keys.find()] == ["master/1"]  # those that are there stay
    with pytest.raises(BackupError, match="is not empty"):
        apart.load(client, places)
    keys.delete_many({})
    apart.load(client, places)
    assert [each["wrapped"] for each in keys.find()] == [b"1"]
    assert client[places["intake"]]["aggregates"].count_documents({}) == 1


def test_a_service_that_is_not_in_it_is_said(client: Client, places: dict[str, str], file: File) -> None:
    fill(client, places, 1)
    file.dump(client, {"intake": places["intake"]})
    with pytest.raises(BackupError, match="holds nothing of matching, only intake"):
        file.load(client, places, replace=True)


def test_who_was_erased_since_is_erased_again(client: Client, places: dict[str, str], file: File) -> None:
    fill(client, places, 1)
    file.dump(client, places)
    client[places["matching"]]["aggregates"].insert_one({"_id": f"file-{PERSON}", "erased": datetime.now(UTC)})
    known = erased_now(client, places.values())
    assert known == {PERSON}
    file.load(client, {"intake": places["intake"]}, replace=True, erased=PERSON)
    assert [each["_id"] for each in client[places["intake"]][ERASURES].find()] == [PERSON]


def test_a_restore_that_broke_off_still_knows_who_was_erased(
    client: Client, places: dict[str, str], file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, places, 1)
    file.dump(client, places)
    client[places["matching"]]["tombstones"].insert_one({"_id": PERSON, "at": datetime.now(UTC)})

    def broken(*_: object) -> None:
        raise BackupError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("deploy.backup.load._Loading.__call__", broken)
        with pytest.raises(BackupError, match="the disk is full"):
            file.load(client, places, replace=True, erased=PERSON)
    assert erased_now(client, places.values()) == {PERSON}
    file.load(client, places, erased=PERSON)
    for name in places.values():
        assert [each["_id"] for each in client[name][ERASURES].find()] == [PERSON]
