"""A tamper test, from the copy to the count."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path

from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.proof import Proof, check_proof
from pydantic import SecretStr

from cli.audit.tamper.alterations import ALTERATIONS, Absent
from cli.audit.tamper.copying import Source, copied
from cli.audit.tamper.scene import Scene
from cli.bench.audit import Audit, made_up_records
from cli.subscribe.feed import say
from deploy.local.errors import StackError
from deploy.local.folder import running_stack
from deploy.local.services import database_of
from deploy.local.stack import LocalStack
from services.audit.domain.leaves import leaf_of
from services.audit.reading import TrailReader
from services.audit.store import SCHEMA
from services.chassis.keys import FileKeyProvider
from services.chassis.mongo.database import connect
from services.chassis.mongo.indexes import make_all
from services.chassis.service import now
from services.chassis.settings import MongoSettings

_MADE_UP = "hulpketen_made_up"


async def run(data: Path, entries: int) -> tuple[Mapping[str, str], bool]:
    """What each alteration was found by (empty: it was not), and whether proofs hold after an erasure.

    Raises: StackError where the trail is not right before it is altered, or has nothing to alter.
    """
    async with AsyncExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="hulpketen-tamper-")))
        source = await _source(data, folder, entries, cleanup)
        scene = await cleanup.enter_async_context(copied(source, folder, entries))
        return await tamper(scene)


async def tamper(scene: Scene) -> tuple[Mapping[str, str], bool]:
    """Alter the copy in every way. As `run`."""
    if why := await scene.found():
        raise StackError(f"the trail is not right before anything was altered: {why}")
    index = _chosen(scene)
    results = {name: what for name in ALTERATIONS if (what := await _altered(scene, index, name)) is not None}
    return results, await _proof_holds(scene, index)


async def _altered(scene: Scene, index: int, name: str) -> str | None:
    """What an alteration was found by, and None where there is nothing to alter so. All is as before then.

    Raises StackError where it is not: what is found after that would say nothing.
    """
    try:
        await ALTERATIONS[name](scene, index)
        found = await scene.found()
    except Absent:
        found = None
    await scene.restore()
    if why := await scene.found():
        raise StackError(f"the copy could not be made as it was after '{name}': {why}")
    return found


async def _source(data: Path, folder: Path, entries: int, cleanup: AsyncExitStack) -> Source:
    """The trail of the chain that runs, or a made-up one."""
    try:
        uri, name = running_stack(data)["mongo"], database_of("audit")
        place, keys = data / "trail", data / "keys" / "audit.json"
    except StackError as error:
        say(f"{error}; a made-up trail is altered instead")
        uri, name = await _made_up(folder, entries, cleanup), _MADE_UP
        place, keys = folder / "place", folder / "keys.json"
    client = connect(MongoSettings(uri=SecretStr(uri), database=name))
    cleanup.callback(client.close)
    return Source(client, name, place, FileKeyProvider(keys))


async def _made_up(folder: Path, entries: int, cleanup: AsyncExitStack) -> str:
    stack = await cleanup.enter_async_context(LocalStack(folder / "stack", run=()))
    uri = stack.addresses["mongo"]
    client = connect(MongoSettings(uri=SecretStr(uri), database=_MADE_UP))
    cleanup.callback(client.close)
    await make_all(client[_MADE_UP], SCHEMA.indexes)
    await Audit(client[_MADE_UP], folder).add(islice(made_up_records(), entries))
    return uri


def _chosen(scene: Scene) -> int:
    """An entry in the middle that is about a person and has a content, as the next one has."""
    for at in sorted(range(1, len(scene.entries) - 2), key=lambda at: abs(at - len(scene.entries) // 2)):
        one, other = (scene.entries[n].get("about", {}) for n in (at, at + 1))
        if "person" in one and "sealed" in one and "sealed" in other:
            return int(scene.entries[at]["_id"])
    raise StackError("the trail has no entry about a person that could be altered: try again when it has")


async def _proof_holds(scene: Scene, index: int) -> bool:
    """Prove an entry, erase the person whom it is about, and see that the proof is still right, as the tree is."""
    entry = scene.entries[index - scene.first]
    last, hashes = await TrailReader(scene.checkpoints, scene.place).prove(entry)
    proof = str(Proof(index, leaf_of(entry), tuple(hashes), last.text))
    person = entry["about"]["person"]
    scene.keys.drop([person])
    await scene.store.erase([person], now())
    try:
        check_proof(proof, [scene.key.public()])
    except TrailError:
        return False
    erased = await scene.database["entries"].find_one({"_id": index})
    return erased is not None and "about" not in erased and not await scene.found()
