"""A part of the trail in one file, checked where nothing else is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hulpketen_contracts.trail import __main__ as command
from hulpketen_contracts.trail.bundle import check_bundle, write_bundle
from hulpketen_contracts.trail.cosignature import Cosigner
from hulpketen_contracts.trail.errors import (
    HistoryRewritten,
    Malformed,
    NotIncluded,
    TileTruncated,
    TrailError,
    UnknownKey,
    WrongOrigin,
)
from hulpketen_contracts.trail.note import Note, Signer
from hulpketen_contracts.trail.part import Extent, Keys
from hulpketen_contracts.trail.proof import Proof
from hulpketen_contracts.trail.report import of_bundle
from hulpketen_contracts.trail.tiles import entries_path
from hulpketen_contracts.trail.tree import Proofs
from hulpketen_contracts.trail.verify import by_path

from tests.trail.made import SIGNER, Made, leaf, made

MADE = made(700)
WITNESS = Cosigner("partner.example/maatjes", bytes(range(1, 33)))
KEYS = Keys([SIGNER.key], [WITNESS.key])
# The second and the third day of the month: entries 24 to before 72.
PERIOD = Extent(20, 80, "2026-11-02T00:00:00+00:00", "2026-11-04T00:00:00+00:00")


def write(folder: Path, trail: Made = MADE, extent: Extent = PERIOD, earlier: tuple[str, ...] = ()) -> Path:
    note = Note.parse(trail.signed)
    raw = str(note.adding([WITNESS.cosign(note.text, 1_700_000_000)]))
    write_bundle(folder / "trail.zip", trail.read, KEYS, raw, extent, earlier)
    return folder / "trail.zip"


def change(bundle: Path, name: str, content: bytes | None) -> Path:
    """The same bundle with another file in it, or without it."""
    changed = bundle.with_name("changed.zip")
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for each in old.namelist():
            if each != name:
                new.writestr(each, old.read(each))
        if content is not None:
            new.writestr(name, content)
    return changed


def test_a_bundle_holds_what_its_checks_need_and_no_other_entries(tmp_path: Path) -> None:
    bundle = write(tmp_path, earlier=(made(300).signed,))
    checked = check_bundle(bundle, KEYS)
    assert (checked.entries, checked.in_period, checked.checkpoint.size) == (60, 48, 700)
    assert (checked.goes_on_from, checked.own_keys) == ([300], False)
    assert [(each.name, each.time) for each in checked.cosigned] == [(WITNESS.key.name, 1_700_000_000)]
    with zipfile.ZipFile(bundle) as file:
        assert [name for name in file.namelist() if "entries" in name] == [entries_path(0)]
        file.extractall(tmp_path / "folder")
    assert check_bundle(tmp_path / "folder", KEYS) == checked
    assert not list(tmp_path.glob("*.part"))


def test_it_is_checked_with_its_own_keys_where_no_others_are_known_and_that_is_said(tmp_path: Path) -> None:
    checked = check_bundle(write(tmp_path))
    assert checked.own_keys
    assert str(checked.keys) == str(KEYS)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "line 3 of the keys is none: <name>"),
        (str(SIGNER.key).replace("+", "+0", 1), "line 3 of the keys is none: <name>"),
        (
            str(SIGNER.key).replace("example", "exemple"),
            "line 3 of the keys: the id in the key is not that of its name",
        ),
        (str(WITNESS.key)[:-8], "line 3 of the keys: a public key has 26 bytes instead of 32"),
    ],
)
def test_a_line_that_is_no_key_is_named(line: str, said: str) -> None:
    text = f"# ours\n{SIGNER.key}\n"
    assert str(Keys.parse(f"{text}\n{WITNESS.key}\n")) == str(KEYS)
    with pytest.raises(Malformed, match=re.escape(said)):
        Keys.parse(f"{text}{line}\n")


def test_it_must_go_on_from_what_one_kept_oneself(tmp_path: Path) -> None:
    bundle = write(tmp_path, extent=Extent(0, 700))
    assert check_bundle(bundle, KEYS, [made(300).signed]).goes_on_from == [300]
    assert check_bundle(bundle, KEYS, [made(701).signed]).older_than == [701]
    other = Made([leaf(n, "x" if n == 17 else "") for n in range(300)])
    with pytest.raises(HistoryRewritten):
        check_bundle(bundle, KEYS, [other.signed])
    # The tile at which 300 entries end is in no bundle of the second day, unless it was asked for.
    checked = check_bundle(write(tmp_path), KEYS, [made(300).signed])
    assert (checked.goes_on_from, checked.without_tiles) == ([], [300])
    assert "NOT compared with the checkpoint of 300 entries" in "\n".join(of_bundle(checked))
    with pytest.raises(HistoryRewritten):
        check_bundle(write(tmp_path, earlier=(made(300).signed,)), KEYS, [other.signed])


def test_a_trail_that_is_not_right_is_not_exported(tmp_path: Path) -> None:
    trail = made(700)
    trail.files[entries_path(0)] = trail.files[entries_path(0)].replace(b"assen", b"elder")
    with pytest.raises(NotIncluded, match="entry 0"):
        write(tmp_path, trail)
    with pytest.raises(HistoryRewritten):
        write(tmp_path, earlier=(Made([leaf(1)]).signed,))
    assert not list(tmp_path.iterdir())


def info(**changed: object) -> bytes:
    usual = {"format": "hulpketen-trail/1", "first": 0, "end": 7, "from": None, "to": None}
    return json.dumps(usual | changed).encode()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("checkpoint", None, TileTruncated),
        ("checkpoint", MADE.signed.replace("700", "701").encode(), TrailError),
        ("checkpoint", b"\xff", Malformed),
        ("keys", b"", WrongOrigin),
        ("keys", f"{Signer(SIGNER.key.name, bytes(32)).key}\n".encode(), UnknownKey),
        ("keys", b"no key\n", Malformed),
        ("bundle.json", b"", Malformed),
        (
            "bundle.json",
            info(format="other"),
            Malformed,
        ),
        (
            "bundle.json",
            info(first=0, end=701),
            Malformed,
        ),
        ("bundle.json", info(first=9, end=7), Malformed),
        ("bundle.json", info(**{"from": "now"}), Malformed),
        ("bundle.json", info().replace(b"7,", b"1e999,"), Malformed),
        ("bundle.json", b"[" * 200_000, Malformed),
        ("bundle.json", b" " * 1_000_001, Malformed),
        (
            "bundle.json",
            info(first=0, end=700),
            TileTruncated,
        ),
        (entries_path(0), None, TileTruncated),
        (entries_path(0), MADE.files[entries_path(0)][:-1], TileTruncated),
        (entries_path(0), MADE.files[entries_path(0)].replace(b"assen", b"elder"), NotIncluded),
        ("checkpoints/9", Made([leaf(1)]).signed.encode(), HistoryRewritten),
    ],
)
def test_it_is_said_what_is_wrong_with_a_bundle(
    tmp_path: Path, name: str, content: bytes | None, error: type[TrailError]
) -> None:
    with pytest.raises(error):
        check_bundle(change(write(tmp_path), name, content))


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(Malformed, match="is no bundle"):
        check_bundle(tmp_path / "text")
    with pytest.raises(OSError, match="No such file"):
        check_bundle(tmp_path / "none")
    damaged = bytearray(write(tmp_path).read_bytes())
    damaged[200:400] = bytes(200)
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(Malformed):
        check_bundle(tmp_path / "damaged")
    with pytest.raises(TileTruncated):
        check_bundle(tmp_path)


def test_the_command_says_what_it_found_and_which_check_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, keys, kept = write(tmp_path), tmp_path / "keys", tmp_path / "kept"
    keys.write_text(f"# given to us on paper\n\n{SIGNER.key}\n")
    kept.write_text(made(17).signed)
    assert command.main(["verify", str(bundle), "--keys", str(keys), "--kept", str(kept)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "trail: trail.example/audit/1",
        "checkpoint: 700 entries, signature right",
        "goes on from the checkpoint of 17 entries that was kept",
        "entries: 60 (number 20 to before 80), each as it was signed",
        "period: 2026-11-02T00:00:00+00:00 to 2026-11-04T00:00:00+00:00: 48 of these entries are of it",
        "that the period has no others is what the audit says: a check of the whole trail counts all",
    ]
    assert command.main(["verify", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert f"key: {SIGNER.key}" in out
    assert "cosigned by partner.example/maatjes at 2023-11-14T22:13:20Z" in out
    changed = change(bundle, entries_path(0), MADE.files[entries_path(0)].replace(b"assen", b"elder"))
    assert command.main(["verify", str(changed)]) == 1
    assert capsys.readouterr().err == "not right: entry 0 is not what was signed\n"
    assert command.main(["verify", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_command_checks_a_proof_with_nothing_of_the_project_but_the_contracts(tmp_path: Path) -> None:
    proof, keys = tmp_path / "entry.tlog-proof", tmp_path / "keys"
    hashes = tuple(Proofs(700, by_path(MADE.read)).inclusion(9))
    proof.write_text(str(Proof(9, leaf(9), hashes, MADE.signed)), encoding="utf-8")
    keys.write_text(str(SIGNER.key))

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-W", "error", "-m", "hulpketen_contracts.trail", *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run("check", proof, "--keys", keys)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:3] == [
        "trail: trail.example/audit/1",
        "entry 9 of 700, as it was signed",
        "time: 2026-11-01T09:00:00Z",
    ]
    proof.write_text(proof.read_text(encoding="utf-8").replace("index 9", "index 8"), encoding="utf-8")
    done = run("check", proof, "--keys", keys)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "not right: the entry is not number 8 of this tree of 700 entries, or the proof is another's\n"
    )
    assert run("check", proof).returncode == 2


def test_no_file_of_a_bundle_is_read_beyond_what_any_can_hold(tmp_path: Path) -> None:
    bundle = change(write(tmp_path), "checkpoint", bytes(17_000_000))
    with pytest.raises(Malformed, match="larger than any can be"):
        check_bundle(bundle)
