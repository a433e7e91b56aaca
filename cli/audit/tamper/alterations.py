"""Every way to alter an entry of the trail, by somebody who has the database, the tiles and all keys."""

from __future__ import annotations

import copy
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from hulpketen_contracts.trail.tiles import tile_path
from hulpketen_contracts.trail.tree import TILE_WIDTH, partial_tiles

from cli.audit.tamper.scene import Scene
from services.audit.contents import SubjectKey
from services.audit.domain.entry import Document
from services.audit.signing_key import LogKey


class Absent(Exception):
    """This trail has nothing to alter in this way."""


Alter = Callable[[Scene, int], Awaitable[None]]
"""Alters the entry with this number, which is neither the first nor the last of the copy. Raises Absent."""

OTHER_ID = "00000000-0000-4000-8000-00000000abcd"


def _field(name: str, other: Any) -> Alter:
    async def alter(scene: Scene, index: int) -> None:
        old = _entry(scene, index)[name]
        await scene.set(index, **{name: other(old) if callable(other) else other})

    return alter


def _entry(scene: Scene, index: int) -> Document:
    return copy.deepcopy(scene.entries[index - scene.first])


async def _content_changed(scene: Scene, index: int) -> None:
    sealed = _sealed(scene, index)
    await scene.set(index, about__sealed=sealed[:-1] + bytes([sealed[-1] ^ 1]))


async def _content_replaced(scene: Scene, index: int) -> None:
    """By who has the key of the person: it opens, and it is bound to this entry."""
    key, entry = await _key(scene, index), _entry(scene, index)
    content = key.open(_sealed(scene, index), entry["commitment"])
    other = content[:-1] + b" }" if content.endswith(b"}") else content + b" "
    await scene.set(index, about__sealed=key.seal(other, entry["commitment"]))


async def _content_of_another(scene: Scene, index: int) -> None:
    await scene.set(index, about__sealed=_sealed(scene, index + 1))


async def _person(scene: Scene, index: int) -> None:
    await scene.set(index, about__person=OTHER_ID)


async def _case(scene: Scene, index: int) -> None:
    await scene.set(index, about__case=OTHER_ID)


async def _trace(scene: Scene, index: int) -> None:
    """Of a line of the processing log, whose content says it; an event's is only how it travelled."""
    lines = [entry["_id"] for entry in scene.entries if "processing" in entry["type"] and _has_trace(entry)]
    if not lines:
        raise Absent
    await scene.set(lines[len(lines) // 2], about__trace=os.urandom(16))


async def _swapped(scene: Scene, index: int) -> None:
    one, other = _entry(scene, index), _entry(scene, index + 1)
    changed = {index: other, index + 1: one}
    await scene.put([changed.get(entry["_id"], entry) | {"_id": entry["_id"]} for entry in scene.entries])


async def _moved_to_the_end(scene: Scene, index: int) -> None:
    at = index - scene.first
    await _renumbered(scene, [*scene.entries[:at], *scene.entries[at + 1 :], scene.entries[at]])


async def _removed_with_a_gap(scene: Scene, index: int) -> None:
    await scene.database["entries"].delete_one({"_id": index})


async def _removed_without_a_gap(scene: Scene, index: int) -> None:
    at = index - scene.first
    await _renumbered(scene, [*scene.entries[:at], *scene.entries[at + 1 :]])


async def _removed_at_the_end(scene: Scene, _: int) -> None:
    await scene.put(scene.entries[:-1])


async def _inserted(scene: Scene, index: int) -> None:
    at = index - scene.first
    await _renumbered(scene, [*scene.entries[:at], _invented(scene, index), *scene.entries[at:]])


async def _twice(scene: Scene, index: int) -> None:
    at = index - scene.first
    await _renumbered(scene, [*scene.entries[: at + 1], *scene.entries[at:]])


async def _tile_changed(scene: Scene, index: int) -> None:
    """The tile of the entry, to the hash of another one; as it would be to hide an altered entry."""
    whole = scene.kept.size // TILE_WIDTH
    at = index // TILE_WIDTH
    path = tile_path(0, at, TILE_WIDTH if at < whole else scene.kept.size % TILE_WIDTH)
    _flip(scene, path)


async def _tile_above_changed(scene: Scene, _: int) -> None:
    _flip(scene, tile_path(*partial_tiles(scene.kept.size)[-1]))


async def _tile_cut(scene: Scene, _: int) -> None:
    path = tile_path(*partial_tiles(scene.kept.size)[-1])
    scene.write(path, (scene.place.folder / path).read_bytes()[:-1])


async def _checkpoint_by_another_key(scene: Scene, _: int) -> None:
    origin, generation = scene.key.origin.rsplit("/", 1)
    other = LogKey(scene.stranger, origin, int(generation))
    text = other.sign(scene.kept.size, scene.kept.root)
    await scene.database["checkpoints"].update_one({"_id": scene.kept.size}, {"$set": {"text": text}})


async def _checkpoint_changed(scene: Scene, _: int) -> None:
    text = scene.kept.text.replace(f"\n{scene.kept.size}\n", f"\n{scene.kept.size + 1}\n")
    await scene.database["checkpoints"].update_one({"_id": scene.kept.size}, {"$set": {"text": text}})


async def _rewritten(scene: Scene, index: int) -> None:
    await scene.set(index, organisation="an-other")
    await scene.sign_again()


async def _rewritten_and_grown(scene: Scene, index: int) -> None:
    await _renumbered(scene, [*scene.entries, _invented(scene, index)])
    await _rewritten(scene, index)


async def _rewritten_without_it(scene: Scene, index: int) -> None:
    await _removed_without_a_gap(scene, index)
    await scene.sign_again()


async def _rewritten_without_the_last(scene: Scene, _: int) -> None:
    await scene.put(scene.entries[:-1])
    await scene.sign_again()


async def _rewritten_with_one_more(scene: Scene, index: int) -> None:
    await _inserted(scene, index)
    await scene.sign_again()


ALTERATIONS: Mapping[str, Alter] = {
    "the time of an entry": _field("at", lambda at: at + timedelta(milliseconds=1)),
    "its type": _field("type", "nl.hulpketen.cases.closed.v1x"),
    "its source": _field("source", "urn:nld:oin:00000000000000000000:systeem:other"),
    "its organisation": _field("organisation", "an-other"),
    "its activity": _field("activity", "an-other"),
    "the id of its event": _field("eventId", OTHER_ID),
    "its commitment": _field("commitment", os.urandom(32)),
    "its sealed content, by a bit": _content_changed,
    "its sealed content, by another one that is sealed with the right key": _content_replaced,
    "its sealed content, by that of the next entry": _content_of_another,
    "whom it is about": _person,
    "which case it is about": _case,
    "the trace of a line of the processing log": _trace,
    "its place: before the next one": _swapped,
    "its place: at the end": _moved_to_the_end,
    "it is removed, and leaves a gap": _removed_with_a_gap,
    "it is removed, and those after it move up": _removed_without_a_gap,
    "the last entry is removed": _removed_at_the_end,
    "an invented entry is inserted": _inserted,
    "an entry stands there twice": _twice,
    "a tile of hashes of entries": _tile_changed,
    "the tile at the top": _tile_above_changed,
    "a tile is cut short": _tile_cut,
    "the checkpoint, signed with another key": _checkpoint_by_another_key,
    "the checkpoint, with another size": _checkpoint_changed,
    "an entry, all tiles, and the checkpoint, signed with the right key": _rewritten,
    "the same, with a new entry at the end": _rewritten_and_grown,
    "it is removed, and all is signed again": _rewritten_without_it,
    "the last entry is removed, and all is signed again": _rewritten_without_the_last,
    "an invented entry is inserted, and all is signed again": _rewritten_with_one_more,
}


def _sealed(scene: Scene, index: int) -> bytes:
    return bytes(_entry(scene, index)["about"]["sealed"])


async def _key(scene: Scene, index: int) -> SubjectKey:
    person = _entry(scene, index)["about"].get("person")
    return (await scene.keys.known([person]))[person] if person else scene.keys.nobody()


def _has_trace(entry: Document) -> bool:
    return "trace" in entry.get("about", {}) and "sealed" in entry["about"]


def _invented(scene: Scene, index: int) -> Document:
    entry = _entry(scene, index) | {"eventId": OTHER_ID, "commitment": os.urandom(32)}
    return {name: value for name, value in entry.items() if name != "about"}


async def _renumbered(scene: Scene, entries: list[Document]) -> None:
    await scene.put([entry | {"_id": scene.first + n} for n, entry in enumerate(entries)])


def _flip(scene: Scene, path: str) -> None:
    content = (scene.place.folder / path).read_bytes()
    scene.write(path, bytes([content[0] ^ 1]) + content[1:])
