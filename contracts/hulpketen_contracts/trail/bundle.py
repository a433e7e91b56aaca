"""A part of the trail in one file, which is checked where nothing else is: a zip, or the folder that it was put into.

`checkpoint` (signed), `keys` (a vkey a line), `bundle.json` (which entries), the files of tlog-tiles (`tile/…`), and
`checkpoints/<size>`: earlier ones, from which the trail goes on. It holds what the checks read, and nothing else.
"""

from __future__ import annotations

import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.errors import Malformed, TileTruncated
from hulpketen_contracts.trail.note import Note
from hulpketen_contracts.trail.part import Checked, Extent, Keys, check_part
from hulpketen_contracts.trail.verify import Read, check_goes_on

FORMAT = "hulpketen-trail/1"
CHECKPOINT, KEYS, INFO, EARLIER = "checkpoint", "keys", "bundle.json", "checkpoints"
# A bundle of 256 entries of the largest size.
MAX_FILE_BYTES = 256 * 65_537
MAX_TEXT_BYTES = 1_000_000
MAX_EARLIER = 100


def write_bundle(
    target: Path, read: Read, keys: Keys, checkpoint: str, extent: Extent, earlier: Sequence[str]
) -> Checked:
    """Check this part of the trail, and put all that was read for that into a zip. `earlier`: signed checkpoints.

    Where a check fails nothing is left behind. Raises TrailError, OSError.
    """
    beside = target.with_name(f"{target.name}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
            held: set[str] = set()

            def keep(path: str) -> bytes:
                content = read(path)
                if path not in held:
                    held.add(path)
                    file.writestr(path, content)
                return content

            file.writestr(CHECKPOINT, checkpoint)
            file.writestr(KEYS, str(keys))
            info = {"format": FORMAT, "first": extent.first, "end": extent.end}
            file.writestr(INFO, json.dumps(info | {"from": extent.since, "to": extent.until}) + "\n")
            checked = check_part(checkpoint, keys, keep, extent, earlier)
            for each in earlier:
                file.writestr(f"{EARLIER}/{Checkpoint.parse(Note.parse(each).text).size}", each)
        os.replace(beside, target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    return checked


def check_bundle(source: Path, keys: Keys | None = None, earlier: Sequence[str] = ()) -> Checked:
    """Check a bundle, with the keys that one knows, or else with those in it (which proves less: see `own_keys`).

    `earlier`: signed checkpoints that one kept, from which the trail must go on. Raises TrailError, OSError.
    """
    with opened(source) as (read, names):
        extent = _extent(read(INFO))
        found = keys or Keys.parse(_text(read(KEYS)))
        raw = _text(read(CHECKPOINT))
        open_checkpoint(raw, found.trail)
        earlier_ones = [name for name in names if name.startswith(f"{EARLIER}/") and not name.endswith("/")]
        if len(earlier_ones) > MAX_EARLIER:
            raise Malformed(f"the bundle has over {MAX_EARLIER} earlier checkpoints")
        inside = [_text(read(name)) for name in earlier_ones]
        checked = check_part(raw, found, read, extent, inside)
        checked.own_keys = keys is None
        for each in earlier:
            _compare(each, raw, checked, read)
        return checked


def _compare(kept: str, raw: str, checked: Checked, read: Read) -> None:
    """With a checkpoint that one kept; the tiles for it are there if it was known at the export."""
    size = open_checkpoint(kept, checked.keys.trail).size
    if size > checked.checkpoint.size:
        checked.older_than.append(size)
        return
    try:
        check_goes_on(kept, raw, checked.keys.trail, read)
    except TileTruncated:
        checked.without_tiles.append(size)
    else:
        checked.goes_on_from.append(size)


@contextmanager
def opened(source: Path) -> Iterator[tuple[Read, Sequence[str]]]:
    """How the files of a bundle are read, and their names. Raises Malformed, OSError."""
    if source.is_dir():
        names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
        yield _reader({name: source / name for name in names}), names
        return
    try:
        with zipfile.ZipFile(source) as file:
            found = {info.filename: info for info in file.infolist()}
            yield _reader({name: zipfile.Path(file, name) for name in found}), sorted(found)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise Malformed(f"{source} is no bundle: {error}") from error


def _reader(files: dict[str, Path] | dict[str, zipfile.Path]) -> Read:
    def read(path: str) -> bytes:
        if path not in files:
            raise TileTruncated(f"the bundle has no file {path}")
        try:
            with files[path].open("rb") as file:
                most = MAX_FILE_BYTES if path.startswith("tile/") else MAX_TEXT_BYTES
                content: bytes = file.read(most + 1)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
            raise Malformed(f"the file {path} of the bundle is damaged") from error
        if len(content) > most:
            raise Malformed(f"the file {path} of the bundle is larger than any can be")
        return content

    return read


def _extent(content: bytes) -> Extent:
    try:
        info = json.loads(content)
        extent = Extent(int(info["first"]), int(info["end"]), info["from"], info["to"])
        for each in (extent.since, extent.until):
            if each is not None and datetime.fromisoformat(each).tzinfo is None:
                raise ValueError(each)
        right = info["format"] == FORMAT
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(f"the file {INFO} of the bundle cannot be read: {type(error).__name__}") from error
    if not right:
        raise Malformed(f"the bundle is not of the format {FORMAT}")
    return extent


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Malformed("a text in the bundle is not UTF-8") from None
