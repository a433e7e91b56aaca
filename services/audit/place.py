"""The second place of the trail: a folder with tiles, bundles and the last checkpoint, whole or not there at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from hulpketen_contracts.trail.errors import TileTruncated
from hulpketen_contracts.trail.tiles import entries_path, tile_path, unpack
from hulpketen_contracts.trail.tree import HASH_BYTES, TILE_WIDTH

CHECKPOINT = "checkpoint"


class Place:
    """Files of one generation of the trail. Everything here blocks: call it beside the event loop."""

    def __init__(self, folder: Path, generation: int) -> None:
        self._above = folder
        self.generation = generation
        self.folder = folder / str(generation)

    def of(self, generation: int) -> Place:
        """The same folder, of another generation."""
        return Place(self._above, generation)

    def newest(self) -> int:
        """The newest generation that has a checkpoint here; 0 where none has."""
        if not self._above.is_dir():
            return 0
        found = [path.parent.name for path in self._above.glob(f"*/{CHECKPOINT}")]
        return max((int(name) for name in found if name.isdecimal()), default=0)

    def read(self, path: str) -> bytes | None:
        """A file as it was written; None where there is none."""
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first `width` hashes of a tile: of the whole one, where there is one. Raises TileTruncated, OSError."""
        _, found = self._either(tile_path(level, index), tile_path(level, index, width))
        if len(found) < width * HASH_BYTES:
            raise TileTruncated(f"{tile_path(level, index)} is cut short")
        return found[: width * HASH_BYTES]

    def bundle(self, index: int, width: int = TILE_WIDTH) -> list[bytes]:
        """The first `width` entries of a bundle, in the same way. Raises TrailError, OSError."""
        whole, found = self._either(entries_path(index), entries_path(index, width))
        return unpack(found, TILE_WIDTH if whole else width)[:width]

    def _either(self, whole: str, partial: str) -> tuple[bool, bytes]:
        """Whether it is the whole one, and the file. A writer puts the whole one there, and then clears the partial."""
        for path in (whole, partial, whole):
            if (found := self.read(path)) is not None:
                return path == whole, found
        raise TileTruncated(f"{partial} is missing")

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write all of these: beside, forced to disk, and renamed, so that a crash leaves each whole or as it was.

        All are written before the first is forced: the disk then has to be waited for once.
        """
        beside = {self.folder / path: self._beside(self.folder / path, content) for path, content in files.items()}
        for written in beside.values():
            _force(written)
        for target, written in beside.items():
            os.replace(written, target)
        for folder in {above for path in files for above in self._folders(path)}:
            _force(folder)

    def _beside(self, target: Path, content: bytes) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f"{target.name}.new-{os.getpid()}-{get_ident()}")
        beside.write_bytes(content)
        return beside

    def put_checkpoint(self, text: str, newer: Callable[[str], bool]) -> None:
        """Write the checkpoint, where it is `newer` than the one that is there: another writer may have gone on."""
        with self._locked():
            there = self.checkpoint()
            if there is None or newer(there):
                self.write({CHECKPOINT: text.encode()})

    def checkpoint(self) -> str | None:
        """The last checkpoint that was written."""
        found = self.read(CHECKPOINT)
        return found.decode(errors="replace") if found is not None else None

    def clear(self, folder: str) -> None:
        """Remove the partial tiles in this folder, which a full one makes superfluous; and what a crash left there."""
        there = self.folder / folder
        if there.is_dir():
            for path in there.iterdir():
                path.unlink(missing_ok=True)
            with suppress(OSError):  # another writer, which is not as far, writes there
                there.rmdir()

    def _folders(self, path: str) -> Iterator[Path]:
        """Those above a file: they may be new, too."""
        for above in (self.folder / path).parents:
            yield above
            if above == self._above:
                return

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _force(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
