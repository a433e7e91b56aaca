"""The signed trail on a real database and disk: one history, whatever dies, meets, or is damaged."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.contents import Contents
from services.audit.domain.entry import read
from services.audit.place import Place
from services.audit.rebuilding import Rebuild
from services.audit.store import TrailBroken, TrailStore
from services.audit.trail import reach
from services.chassis.keys import FileKeyProvider
from services.chassis.pipeline.errors import LeaseLost, StoreUnavailable
from services.chassis.service import now
from tests.conftest import Infrastructure
from tests.integration.audit import AlwaysHeld, Database, a_database, opens, provider_of, subject_keys, trail, writer
from tests.integration.audit_signing import event_id, log_key, looked_over, numbered, person, signer, told, untold

KILLS, AT_ONCE = 200, 100


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


async def add(database: Database, start: int, end: int) -> None:
    await writer(database).handle([numbered(n) for n in range(start, end)])


async def newest(database: Database) -> Kept:
    last = await CheckpointStore(database).last()
    assert last
    return last


async def stopped(database: Database, folder: Path, announced: str | None = None) -> str:
    """Why a new signer signs nothing; it says so once."""
    before = await CheckpointStore(database).last()
    one = signer(database, folder, announced=told(announced) if announced else untold)
    await one.step()
    await one.step()
    assert await CheckpointStore(database).last() == before
    return one.stopped


async def test_a_tree_grows_over_restarts_and_each_checkpoint_goes_on_from_the_one_before(
    database: Database, tmp_path: Path
) -> None:
    size = 0
    for more in (3, 253, 1, 3, 700, 64):
        await add(database, size, size + more)
        size += more
        await signer(database, tmp_path).step()
    kept = await looked_over(database, tmp_path, provider_of(database))
    assert [each.size for each in kept] == [3, 256, 257, 260, 960, 1024]
    place = Place(tmp_path, 1)
    assert [place.read(f"tile/0/000.p/{width}") for width in (3, 255)] == [None, None]
    assert place.read("tile/0/003") is not None
    assert await stopped(database, tmp_path) == ""


async def test_killed_at_every_step_it_goes_on_with_the_same_tree(
    stack_infra: Infrastructure, database: Database, tmp_path: Path
) -> None:
    program = (sys.executable, "-m", "tests.integration.killed", stack_infra.mongo, database.name, str(tmp_path))
    seen: list[str] = []
    for _ in range(KILLS // AT_ONCE):
        process = await asyncio.create_subprocess_exec(*program, str(AT_ONCE), stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        seen += [b64decode(line).decode() for line in out.splitlines()]
    assert len(seen) == KILLS
    provider = FileKeyProvider(tmp_path / "keys.json")
    await signer(database, tmp_path / "place", provider=provider).step()
    kept = {each.text: each.size for each in await looked_over(database, tmp_path / "place", provider)}
    sizes = [kept[text] for text in seen if text]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > KILLS / 20
    entries = await trail(database)
    assert [entry["eventId"] for entry in entries] == [event_id(n) for n in range(len(entries))]


async def test_writers_that_all_believe_to_hold_the_lease_sign_one_history(database: Database, tmp_path: Path) -> None:
    async def write(start: int) -> None:
        one, signs = writer(database), signer(database, tmp_path)
        for at in range(start, 300, 10):
            for step in (lambda at=at: one.handle([numbered(n) for n in range(at, at + 10)]), signs.step):
                await until_done(step)
        assert signs.stopped == ""

    await asyncio.gather(*(write(start) for start in (0, 10, 20)))
    kept = await looked_over(database, tmp_path, provider_of(database))
    assert kept[-1].size == 300
    assert sorted(entry["eventId"] for entry in await trail(database)) == [event_id(n) for n in range(300)]


async def until_done(step: Callable[[], object]) -> None:
    while True:
        try:
            await step()  # type: ignore[misc]
        except (LeaseLost, StoreUnavailable, OSError):
            await asyncio.sleep(0)
        else:
            return


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def altered(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[40] ^= 0x81
    file.write_bytes(content)


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "checkpoint"])
@pytest.mark.parametrize("damage", [cut_short, altered, Path.unlink])
async def test_a_damaged_file_of_the_second_place_is_written_again_from_the_entries(
    database: Database, tmp_path: Path, path: str, damage: Callable[[Path], None]
) -> None:
    await add(database, 0, 600)
    await signer(database, tmp_path).step()
    file = tmp_path / "1" / path
    before = file.read_bytes()
    damage(file)
    if path == "checkpoint" and damage != Path.unlink:
        assert "the second place" in await stopped(database, tmp_path)
        return
    await signer(database, tmp_path).step()
    assert file.read_bytes() == before
    await looked_over(database, tmp_path, provider_of(database))


async def test_where_entries_are_not_those_that_were_signed_nothing_is_signed_and_the_place_is_left_as_it_is(
    database: Database, tmp_path: Path
) -> None:
    await add(database, 0, 300)
    await signer(database, tmp_path).step()
    await add(database, 300, 310)
    await database["entries"].update_one({"_id": 7}, {"$set": {"organisation": "another"}})
    damaged, bundle = tmp_path / "1/tile/0/000", tmp_path / "1/tile/entries/000"
    damaged.unlink()
    before = bundle.read_bytes()
    assert "another root" in await stopped(database, tmp_path)
    assert bundle.read_bytes() == before
    assert not damaged.exists()


async def test_a_database_that_has_less_than_others_saw_signed_signs_nothing_and_nothing_is_added(
    database: Database, tmp_path: Path
) -> None:
    await add(database, 0, 20)
    await signer(database, tmp_path).step()
    text = (await newest(database)).text
    await database["checkpoints"].delete_many({})
    assert "the second place has" in await stopped(database, tmp_path)
    assert "what was announced has" in await stopped(database, tmp_path / "empty", text)
    await database["entries"].delete_many({"_id": {"$gte": 15}})

    async def signed() -> int:
        return 20

    with pytest.raises(TrailBroken):
        await writer(database, reach=signed).handle([numbered(15)])


async def test_entries_are_added_whatever_the_second_place_says_but_not_in_the_place_of_those_that_were_signed(
    database: Database, tmp_path: Path
) -> None:
    await add(database, 0, 20)
    await signer(database, tmp_path).step()
    store, place, key = CheckpointStore(database), Place(tmp_path, 1), log_key(provider_of(database))
    assert await reach(store, None, None) == await reach(store, place, key) == 20
    await database["checkpoints"].delete_many({})
    assert (await reach(store, None, None), await reach(store, place, key)) == (0, 20)
    for damage in (cut_short, Path.unlink, Path.mkdir):
        damage(tmp_path / "1/checkpoint")
        assert await reach(store, place, key) == 0


async def test_a_checkpoint_with_a_wrong_signature_stops_the_signing(database: Database, tmp_path: Path) -> None:
    await add(database, 0, 20)
    await signer(database, tmp_path).step()
    text = (await newest(database)).text
    forged = text.replace("\n20\n", "\n19\n")
    assert "what was announced" in await stopped(database, tmp_path, forged)


async def test_who_does_not_hold_the_lease_signs_nothing(database: Database, tmp_path: Path) -> None:
    lease = AlwaysHeld()
    lease.fence = None
    await add(database, 0, 20)
    await signer(database, tmp_path, lease=lease).step()
    assert await CheckpointStore(database).last() is None


async def test_a_former_holder_may_sign_while_another_takes_over(database: Database, tmp_path: Path) -> None:
    former = signer(database, tmp_path)

    async def signed_meanwhile() -> str:
        await former.step()
        return (await newest(database)).text

    await add(database, 0, 20)
    await former.step()
    await add(database, 20, 40)
    one = signer(database, tmp_path, announced=signed_meanwhile)
    await one.step()
    assert one.stopped == ""
    assert [each.size for each in await looked_over(database, tmp_path, provider_of(database))] == [20, 40]


async def test_a_former_holder_may_add_and_sign_while_another_takes_over_the_writing(database: Database) -> None:
    async def signed_meanwhile() -> int:
        await add(database, 0, 20)
        return 20

    await writer(database, reach=signed_meanwhile).handle([numbered(20)])
    assert len(await trail(database)) == 21


async def test_after_a_failure_it_goes_on_without_a_look_at_every_tile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError("no room")

    one, read, bundle = signer(database, tmp_path), list[int](), Place.bundle

    def noted(place: Place, index: int, width: int = 256) -> list[bytes]:
        read.append(index)
        return bundle(place, index, width)

    await add(database, 0, 600)
    await one.step()
    await add(database, 600, 610)
    monkeypatch.setattr(Place, "bundle", noted)
    for more in (610, 620):
        with monkeypatch.context() as patch:
            patch.setattr(Place, "write", lambda *_: full())
            with pytest.raises(OSError, match="no room"):
                await one.step()
        read.clear()
        await one.step()
        await add(database, more, more + 10)
    monkeypatch.undo()
    assert read == [2]
    assert [each.size for each in await looked_over(database, tmp_path, provider_of(database))] == [600, 610, 620]


class Restored:
    """A database as it was at 300 entries, of which 700 were signed since; partners were told of 500."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.checkpoints = CheckpointStore(database)
        self.rebuild = Rebuild(
            TrailStore(database), self.checkpoints, Place(folder, 1), log_key(provider_of(database)), now
        )

    async def prepare(self) -> None:
        await add(self.database, 0, 300)
        await signer(self.database, self.folder).step()
        await add(self.database, 300, 500)
        await signer(self.database, self.folder).step()
        self.told = await newest(self.database)
        await add(self.database, 500, 700)
        await signer(self.database, self.folder).step()
        self.signed = await newest(self.database)
        self.entries = await trail(self.database)
        await self.database["entries"].delete_many({"_id": {"$gte": 300}})
        await self.database["checkpoints"].delete_many({"_id": {"$gt": 300}})
        await self.database["trail"].delete_many({})
        known = [entry["about"]["person"] for entry in self.entries[:300]]
        await self.database["person_keys"].delete_many({"_id": {"$nin": known}})


@pytest.fixture
async def restored(database: Database, tmp_path: Path) -> Restored:
    world = Restored(database, tmp_path)
    await world.prepare()
    return world


async def test_what_a_backup_lacks_comes_from_the_second_place_and_its_contents_from_the_events(
    restored: Restored,
) -> None:
    for _ in range(2):
        await restored.rebuild.run()
    bare = await trail(restored.database)
    assert [e["about"] for e in bare[300:]] == [{"awaited": True}] * 400
    assert await newest(restored.database) == restored.signed
    leaves = [{name: e[name] for name in e if name != "about"} for e in bare]
    assert leaves == [{name: e[name] for name in e if name != "about"} for e in restored.entries]
    await add(restored.database, 290, 720)
    after = await trail(restored.database)
    contents = await Contents(subject_keys(restored.database)).open(after)
    for n, (entry, content) in enumerate(zip(after, contents, strict=True)):
        lost = person(n) not in {person(m) for m in range(7)}
        assert "awaited" not in entry["about"]
        assert entry["about"].get("unprovable", False) == (lost and n < 700)
        assert content
        assert content.committed == read(numbered(n).headers, numbered(n).value, numbered(n).topic).content
        assert opens(content, entry) == ("unprovable" not in entry["about"])
    await signer(restored.database, restored.folder).step()
    kept = await looked_over(restored.database, restored.folder, provider_of(restored.database))
    assert [each.size for each in kept] == [300, 700, 720]


async def test_a_checkpoint_that_neither_the_backup_nor_the_second_place_has_is_proved_by_the_tiles(
    restored: Restored,
) -> None:
    await restored.rebuild.run()
    other = log_key(provider_of(restored.database)).sign(restored.told.size, bytes(32))
    assert "another root at 500" in await stopped(restored.database, restored.folder, other)
    await add(restored.database, 700, 710)
    one = signer(restored.database, restored.folder, announced=told(restored.told.text))
    await one.step()
    assert one.stopped == ""
    kept = await looked_over(restored.database, restored.folder, provider_of(restored.database))
    assert [each.size for each in kept] == [300, 700, 710]


async def test_without_the_second_place_a_restored_trail_signs_nothing_more(restored: Restored) -> None:
    for path in (restored.folder / "1").rglob("*"):
        if path.is_file():
            path.unlink()
    await restored.rebuild.run()
    await add(restored.database, 300, 320)
    assert "does not reach" in await stopped(restored.database, restored.folder)


@pytest.mark.parametrize("damage", [cut_short, altered, Path.unlink])
async def test_a_damaged_second_place_rebuilds_nothing(restored: Restored, damage: Callable[[Path], None]) -> None:
    damage(restored.folder / "1/tile/entries/001")
    await restored.rebuild.run()
    assert len(await trail(restored.database)) == 300
    assert "after the restore" in await stopped(restored.database, restored.folder)


async def test_a_second_place_of_another_history_rebuilds_nothing(restored: Restored) -> None:
    await restored.database["entries"].update_one({"_id": 7}, {"$set": {"organisation": "another"}})
    await restored.rebuild.run()
    assert len(await trail(restored.database)) == 300
    assert "other entries" in await stopped(restored.database, restored.folder)
