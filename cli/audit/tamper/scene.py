"""A copy of a trail to alter, and the check of it by somebody who holds one checkpoint and the public key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hulpketen_contracts.trail.checkpoint import open_checkpoint
from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.part import Extent, Keys, check_part
from hulpketen_contracts.trail.tiles import parse_path, tile_path
from hulpketen_contracts.trail.tree import HASH_BYTES, TILE_WIDTH, TileTree, leaf_hash

from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.contents import Contents, SubjectKeys
from services.audit.domain.entry import Document, about_of
from services.audit.domain.leaves import leaf_of
from services.audit.place import Place
from services.audit.reading import NotSigned, TrailReader
from services.audit.signing_key import LogKey
from services.audit.store import TrailStore
from services.chassis.keys import KeyProvider
from services.chassis.mongo.database import Database
from services.chassis.service import now

_PERIOD_DAYS = 7


class Scene:
    """Entries from number `first` on, all tiles, and the checkpoint that a partner holds.

    `place` and `database` hold nothing that is needed elsewhere. After `restore` all is as it was.
    """

    def __init__(
        self, database: Database, place: Place, provider: KeyProvider, key: LogKey, stranger: KeyProvider
    ) -> None:
        """`key`: that signs the trail; `stranger`: the keys of somebody else."""
        self.database = database
        self.stranger = stranger
        self.place = place
        self.key = key
        self.store = TrailStore(database)
        self.keys = SubjectKeys(self.store, provider, now, _PERIOD_DAYS)
        self.checkpoints = CheckpointStore(database)
        self.kept = Kept(0, b"", "")
        self.entries: list[Document] = []
        self._kept_documents: list[Document] = []
        self._files: dict[str, bytes | None] = {}

    async def open(self) -> None:
        """Read what there is. Afterwards all of it can be altered."""
        last = await self.checkpoints.last()
        assert last is not None
        self.kept = last
        self.entries = await self.database["entries"].find().sort("_id", 1).to_list(None)
        self._kept_documents = await self.database["checkpoints"].find().to_list(None)

    @property
    def first(self) -> int:
        """The number of the first entry of the copy: the first of a bundle."""
        return int(self.entries[0]["_id"])

    async def restore(self) -> None:
        """Make all as it was."""
        await self.put(self.entries)
        await self.database["checkpoints"].delete_many({})
        await self.database["checkpoints"].insert_many(self._kept_documents)
        for path, content in self._files.items():
            file = self.place.folder / path
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
        self._files = {}

    async def put(self, entries: Sequence[Document]) -> None:
        """Let these be the entries of the copy, numbered as they say."""
        await self.database["entries"].delete_many({})
        await self.database["entries"].insert_many(entries)

    async def set(self, index: int, **values: Any) -> None:
        """Set fields of one entry."""
        named = {name.replace("__", "."): value for name, value in values.items()}
        await self.database["entries"].update_one({"_id": index}, {"$set": named})

    def write(self, path: str, content: bytes) -> None:
        """Change a file of the second place, which `restore` undoes."""
        file = self.place.folder / path
        self._files.setdefault(path, file.read_bytes() if file.exists() else None)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    async def sign_again(self) -> None:
        """Make all tiles as the altered entries would have them, and sign that tree with the trail's own key."""
        leaves = await self._leaf_hashes()
        tree = TileTree()
        for tile in [*tree.extend(leaves), *tree.partial()]:
            self.write(tile_path(tile.level, tile.index, tile.width), tile.hashes)
        text = self.key.sign(tree.size, tree.root())
        await self.database["checkpoints"].delete_many({})
        document = {"_id": tree.size, "previous": 0, "root": tree.root(), "text": text, "at": now()}
        await self.database["checkpoints"].insert_one(document)

    async def _leaf_hashes(self) -> list[bytes]:
        before = [self.place.tile(0, index) for index in range(self.first // TILE_WIDTH)]
        entries = await self.database["entries"].find().sort("_id", 1).to_list(None)
        hashes = [tile[at : at + HASH_BYTES] for tile in before for at in range(0, len(tile), HASH_BYTES)]
        return hashes + [leaf_hash(leaf_of(entry)) for entry in entries]

    async def found(self) -> str:
        """What a check finds that has the kept checkpoint and the public key alone; empty where all is right.

        Contents are opened for it by who has their keys, and checked against the entries that were signed.
        """
        try:
            await self._check_tree()
            await self._check_contents()
        except (TrailError, NotSigned) as error:
            return str(error)
        return ""

    async def _check_tree(self) -> None:
        reader, loop = TrailReader(self.checkpoints, self.place), asyncio.get_running_loop()

        def read(path: str) -> bytes:
            return asyncio.run_coroutine_threadsafe(reader.file(parse_path(path)), loop).result()

        shown, keys = (await reader.newest()).text, Keys([self.key.public()])
        size = open_checkpoint(shown, keys.trail).size
        extent = Extent(min(self.first, size), size)
        await asyncio.to_thread(check_part, shown, keys, read, extent, [self.kept.text])

    async def _check_contents(self) -> None:
        entries = await self.database["entries"].find().sort("_id", 1).to_list(None)
        for entry, content in zip(entries, await Contents(self.keys, _refuse).open(entries), strict=True):
            about = entry.get("about", {})
            if content and not _follows(about, content.data):
                raise TrailError(f"entry {entry['_id']} is kept as being about something else than its content")
            if not content and "sealed" in about and "person" in about:
                raise TrailError(f"the content of entry {entry['_id']} cannot be opened")


def _refuse(_: int | None) -> None:
    raise TrailError("the content of an entry is not what was sealed for it")


def _follows(about: Document, data: Document) -> bool:
    """Whether what leads to an entry is what its content says. The trace of an event is not in it, only of a line."""
    said = about_of(data)
    return all(about.get(name) == said.get(name) for name in ("person", "case", *said))
