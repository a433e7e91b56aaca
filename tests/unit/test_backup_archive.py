"""The file of a backup: what was written is read, and what is not whole is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from deploy.backup.archive import BackupError, Writer, identities, new_key, reading, recipient

DOCUMENTS: list[dict[str, Any]] = [{"n": n, "bytes": os.urandom(50_000)} for n in range(6)]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "backup.key"


@pytest.fixture
def file(tmp_path: Path, key: Path) -> Path:
    path = tmp_path / "backup.age"
    with Writer(path, [recipient(new_key(key))]) as writer:
        for document in DOCUMENTS:
            writer.put(document)
    return path


def read(file: Path, key: Path) -> list[dict[str, Any]]:
    with reading(file, identities(key)) as found:
        return list(found)


def test_what_was_written_is_read(file: Path, key: Path) -> None:
    assert read(file, key) == DOCUMENTS
    assert not [each for each in file.parent.iterdir() if each.suffix == ".part"]
    assert DOCUMENTS[0]["bytes"][:20] not in file.read_bytes()
    assert key.stat().st_mode & 0o077 == file.stat().st_mode & 0o077 == 0


def test_whoever_stops_reading_in_the_middle_is_not_kept_waiting(file: Path, key: Path) -> None:
    with reading(file, identities(key)) as found:
        assert next(found) == DOCUMENTS[0]


@pytest.mark.parametrize("left", [0.02, 0.5, 0.9, 0.9999])
def test_a_file_that_was_cut_is_refused(file: Path, key: Path, left: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(BackupError, match="cut short or was changed"):
        read(file, key)


@pytest.mark.parametrize("at", [0.3, 0.7, 0.9999])
def test_a_file_that_was_changed_is_refused(file: Path, key: Path, at: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(len(content) * at)] ^= 1
    file.write_bytes(content)
    with pytest.raises(BackupError, match="cut short or was changed"):
        read(file, key)


def test_another_key_does_not_open_it(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    new_key(other)
    with pytest.raises(BackupError, match="for another key"):
        read(file, other)


def test_what_is_no_backup_is_called_so(file: Path, key: Path) -> None:
    file.write_text("something else\n" * 100, encoding="utf-8")
    with pytest.raises(BackupError, match="is no backup"):
        read(file, key)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, key: Path) -> None:
    public = recipient(new_key(key))
    with pytest.raises(BackupError, match="cannot be written: No such file"), Writer(tmp_path / "no" / "b", [public]):
        pass

    def fail() -> None:
        with Writer(tmp_path / "backup.age", [public]) as writer:
            writer.put({"n": 1})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [each.name for each in tmp_path.iterdir()] == ["backup.key"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_is_said_so(tmp_path: Path, key: Path) -> None:
    public = recipient(new_key(key))
    (tmp_path / "backup.age.part").symlink_to("/dev/full")

    def write() -> None:
        with Writer(tmp_path / "backup.age", [public]) as writer:
            for document in DOCUMENTS:
                writer.put(document)

    with pytest.raises(BackupError, match="No space left"):
        write()


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("", "holds no secret key"), ("AGE-SECRET-KEY-1X\n", "holds no")]
)
def test_a_key_that_cannot_be_used_is_said_so(key: Path, content: str | None, said: str) -> None:
    if content is not None:
        key.write_text(content, encoding="utf-8")
    with pytest.raises(BackupError, match=said):
        identities(key)


def test_a_key_is_never_written_over(key: Path) -> None:
    new_key(key)
    with pytest.raises(BackupError, match="File exists"):
        new_key(key)


def test_a_public_key_begins_with_age1() -> None:
    with pytest.raises(BackupError, match="no public key"):
        recipient("ssh-rsa AAAA")
