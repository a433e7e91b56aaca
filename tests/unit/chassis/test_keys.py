"""Keys: wrapped, sealed, destroyed; and hashes that nobody can guess without them."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.keys import (
    LOOK_EVERY_S,
    FileKeyProvider,
    KeyDestroyed,
    KeyedHasher,
    SealBroken,
    Sealer,
    fingerprint,
    new_key,
    open_sealed,
    seal,
)
from tests.unit.chassis.conftest import Clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "intake.json"


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_with_the_same_key_and_associated_data_only(plain: bytes, associated: bytes) -> None:
    key = new_key()
    sealed = seal(key, plain, associated)
    assert open_sealed(key, sealed, associated) == plain
    assert Sealer(key).seal(plain, associated) != sealed
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b""):
        with pytest.raises(SealBroken):
            open_sealed(key, broken, associated)
    with pytest.raises(SealBroken):
        open_sealed(key, sealed, associated + b"x")
    with pytest.raises(SealBroken):
        open_sealed(new_key(), sealed, associated)


async def test_keys_are_wrapped_per_label_and_survive_a_restart(file: Path) -> None:
    provider = FileKeyProvider(file)
    keys = [new_key() for _ in range(3)]
    wrapped = await provider.wrap("0106/2026-47", keys)
    await provider.wrap("0106/2026-48", keys)
    again = FileKeyProvider(file)
    assert await again.unwrap("0106/2026-47", wrapped) == keys
    with pytest.raises(SealBroken):
        await again.unwrap("0106/2026-48", wrapped)
    assert not any(key in wrapped_key for key in keys for wrapped_key in wrapped)


async def test_a_destroyed_wrapping_key_is_gone_for_every_process(file: Path) -> None:
    one, other = FileKeyProvider(file), FileKeyProvider(file)
    wrapped = await one.wrap("0106/2026-47", [new_key()])
    await other.unwrap("0106/2026-47", wrapped)
    await one.destroy("0106/2026-47")
    await one.destroy("0106/2026-47")
    for provider in (one, other):
        with pytest.raises(KeyDestroyed):
            await provider.unwrap("0106/2026-47", wrapped)
    assert "2026-47" not in file.read_text()


def test_the_key_file_is_for_its_owner_alone(file: Path) -> None:
    FileKeyProvider(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def _derive(path: Path, into: multiprocessing.Queue[bytes]) -> None:
    into.put(FileKeyProvider(path).derive("x"))


def test_processes_that_start_together_make_one_master_key(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[bytes] = context.Queue()
    processes = [context.Process(target=_derive, args=(file, found)) for _ in range(3)]
    for process in processes:
        process.start()
    assert len({found.get(timeout=60) for _ in processes}) == 1
    for process in processes:
        process.join()


def test_derived_keys_differ_by_purpose_and_version(file: Path) -> None:
    provider = FileKeyProvider(file)
    assert provider.derive("a") == provider.derive("a", 1)
    assert provider.derive("a") != provider.derive("b")
    assert len(provider.derive("a")) == 32


def test_hashes_differ_by_municipality_and_kind_and_stay_when_a_master_key_is_added(file: Path) -> None:
    clock = Clock(0)
    provider = FileKeyProvider(file, clock)
    hasher = KeyedHasher(provider)
    first = hasher.hash("0106", "bsn", "123456782")
    assert first.startswith("1:")
    assert hasher.hash("0107", "bsn", "123456782") != first
    assert hasher.hash("0106", "address", "123456782") != first
    content = json.loads(file.read_text())
    content["masters"]["2"] = content["masters"]["1"].swapcase()
    file.write_text(json.dumps(content))
    clock.now += LOOK_EVERY_S
    assert provider.versions() == [2, 1]
    assert hasher.hash("0106", "bsn", "123456782") == first
    assert KeyedHasher(FileKeyProvider(file)).hash("0106", "bsn", "123456782") == first


def test_the_file_is_not_looked_at_for_each_hash(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = Clock(0), 0
    hasher = KeyedHasher(FileKeyProvider(file, clock))
    stat_of = Path.stat

    def counted(path: Path, **how: bool) -> os.stat_result:
        nonlocal looks
        looks += path == file
        return stat_of(path, **how)

    monkeypatch.setattr(Path, "stat", counted)
    for n in range(1_000):
        hasher.hash("0106", "bsn", str(n))
    assert looks == 0
    clock.now += LOOK_EVERY_S
    for n in range(1_000):
        hasher.hash("0106", "bsn", str(n))
    assert looks == 1


async def test_what_was_destroyed_counts_at_once_however_lately_the_file_was_looked_at(file: Path) -> None:
    one, other = FileKeyProvider(file, Clock(0)), FileKeyProvider(file, Clock(0))
    wrapped = await one.wrap("0106/2026-47", [new_key()])
    for provider in (one, other):
        provider.versions()
    await one.destroy("0106/2026-47")
    for provider in (one, other):
        with pytest.raises(KeyDestroyed):
            await provider.unwrap("0106/2026-47", wrapped)
    fresh = await other.wrap("0106/2026-47", [new_key()])
    assert await one.unwrap("0106/2026-47", fresh)


def test_a_fingerprint_finds_a_secret_without_holding_it() -> None:
    assert fingerprint("cookie") == fingerprint("cookie") != fingerprint("cookie2")
    assert "cookie" not in fingerprint("cookie")
