"""The same trail by code that nobody here wrote: Go's checksum database, and a library of C2SP's formats."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest
from hulpketen_contracts.trail.checkpoint import Checkpoint, sign_checkpoint
from hulpketen_contracts.trail.cosignature import Cosigner
from hulpketen_contracts.trail.note import Note, Signer
from hulpketen_contracts.trail.proof import Proof
from hulpketen_contracts.trail.tiles import tile_path
from hulpketen_contracts.trail.tree import Proofs

from tests.trail.reference import Tiles, entry

PROGRAM = Path(__file__).parent / "go"
MOST = 65_537
EDGES = (255, 256, 257, 300, 511, 512, 513, 65_535, 65_536, 65_537)
SIGNER = Signer("trail.example/audit/1", bytes(range(32)))
WITNESS = Cosigner("partner.example/maatjes", bytes(range(1, 33)))


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built. Without Go or its modules the tests are skipped, or fail where REQUIRE_GO is 1."""
    compiler = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if compiler is None:
        lacks("Go is not installed (https://go.dev/dl)")
    built = tmp_path_factory.mktemp("go") / "trail-check"
    done = subprocess.run(
        [compiler, "build", "-mod=readonly", "-o", built, "."], cwd=PROGRAM, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lacks(f"the program in tests/trail/go cannot be built: {done.stderr.strip()[-300:]}")
    return built


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    return Tiles(MOST)


def lacks(what: str) -> NoReturn:
    if os.environ.get("REQUIRE_GO") == "1":
        pytest.fail(what)
    pytest.skip(what)


def run(program: Path, *arguments: str | Path, asked: str = "") -> str:
    done = subprocess.run([program, *arguments], input=asked, capture_output=True, text=True, check=False, timeout=300)
    assert not done.returncode, done.stderr
    return done.stdout


def digest(hashes: list[bytes]) -> str:
    return sha256(b"".join(hashes)).hexdigest()


def test_roots_and_proofs_are_those_of_go(go: Path, tiles: Tiles) -> None:
    lines = []
    for size in [*range(1, 301), *EDGES]:
        proofs = Proofs(size, tiles.read)
        lines.append(f"root {size} {proofs.root().hex()}")
        chosen = random.Random(size).sample(range(size), min(size, 12))
        for index in {0, size - 1, *chosen}:
            lines.append(f"inclusion {size} {index} {digest(proofs.inclusion(index))}")
        for old in {1, size, *[n + 1 for n in chosen]}:
            lines.append(f"consistency {size} {old} {digest(proofs.consistency(old))}")
    asked = "".join([" ".join(line.split()[:-1]) + "\n" for line in lines])
    assert run(go, "tree", str(MOST), asked=asked).splitlines() == lines


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537])
def test_tiles_and_their_paths_are_those_of_go(go: Path, size: int) -> None:
    made = Tiles(size)
    mine = {tile_path(level, index): hashes for (level, index), hashes in made.whole.items()}
    mine |= {tile_path(tile.level, tile.index, tile.width): tile.hashes for tile in made.tree.partial()}
    found = run(go, "tree", str(size), asked=f"tiles 0 {size}\n").splitlines()
    assert sorted(found) == sorted(f"{path} {digest([hashes])}" for path, hashes in mine.items())


def test_a_note_is_signed_as_go_signs_it(go: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("a first line\n\nand a last, of ½\n", encoding="utf-8")
    signed = run(go, "sign", SIGNER.key.name, bytes(range(32)).hex(), text)
    assert signed == str(Note(text.read_text(encoding="utf-8"), (SIGNER.sign(text.read_text(encoding="utf-8")),)))


def test_go_opens_a_checkpoint_with_its_cosignature_and_a_proof(go: Path, tiles: Tiles, tmp_path: Path) -> None:
    size, index = 65_537, 65_536
    proofs = Proofs(size, tiles.read)
    note = Note.parse(sign_checkpoint(Checkpoint(SIGNER.key.name, size, proofs.root()), SIGNER))
    cosigned = str(note.adding([WITNESS.cosign(note.text, 1679315147)]))
    checkpoint, proof = tmp_path / "checkpoint", tmp_path / "entry.tlog-proof"
    checkpoint.write_text(cosigned, encoding="utf-8")
    origin, _, root = note.text.splitlines()
    assert run(go, "open", checkpoint, str(SIGNER.key), str(WITNESS.key)).splitlines() == [
        f"checkpoint {origin} {size} {root}",
        f"cosigned {WITNESS.key.name} 1679315147",
    ]
    proof.write_text(str(Proof(index, entry(index), tuple(proofs.inclusion(index)), cosigned)), encoding="utf-8")
    assert run(go, "open", proof, str(SIGNER.key), str(WITNESS.key)) == f"proof entry {index}\n"


def test_go_refuses_what_was_changed(go: Path, tiles: Tiles, tmp_path: Path) -> None:
    raw = sign_checkpoint(Checkpoint(SIGNER.key.name, MOST, Proofs(MOST, tiles.read).root()), SIGNER)
    changed = tmp_path / "checkpoint"
    changed.write_text(raw.replace("65537", "65538"), encoding="utf-8")
    with pytest.raises(AssertionError):
        run(go, "open", changed, str(SIGNER.key))
