"""Partners vouch for the trail: which key counts, which cosignature is taken, and what each refusal says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from hulpketen_contracts.trail.cosignature import Cosigner, CosignerKey, cosignatures
from hulpketen_contracts.trail.note import Note, Signer

from services.audit import metrics
from services.audit.api_witnesses import routes
from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.witness_store import INDEXES, WitnessStore
from services.audit.witnesses import MOST_KEYS, Witnesses
from services.chassis.mongo.indexes import make_all
from services.chassis.service import now
from services.chassis.settings import AuthSettings
from services.chassis.web import create_app
from tests.conftest import Infrastructure
from tests.integration.audit import a_database
from tests.integration.auditing import NoRuntime, token
from tests.unit.chassis.issuer import ISSUER, TestIssuer
from tests.unit.chassis.unconnected import unconnected

ORIGIN = "hulpketen.test/audit/1"
LOG = Signer(ORIGIN, bytes(31) + b"\1")
Answer = tuple[int, dict[str, Any]]


def kept(size: int, *, root: int = 0, signer: Signer = LOG, origin: str = ORIGIN) -> Kept:
    checkpoint = Checkpoint(origin, size, bytes([root or size]) * 32)
    return Kept(size, checkpoint.root, sign_checkpoint(checkpoint, signer))


def cosigner(name: str, seed: int = 7) -> Cosigner:
    return Cosigner(name, bytes([seed]) * 32)


def cosigned(checkpoint: Kept, by: Cosigner, at: float | None = None) -> str:
    note = Note.parse(checkpoint.text)
    return str(note.adding([by.cosign(note.text, int(time.time() if at is None else at))]))


class TheLog:
    """The log, by its key."""

    origin = ORIGIN

    def read(self, text: str) -> Kept:
        found = open_checkpoint(text, [LOG.key])
        return Kept(found.size, found.root, text)


class World(NamedTuple):
    """The routes of an audit that signed trees of 5 and 9 entries."""

    client: httpx.AsyncClient
    issuer: TestIssuer
    witnesses: Witnesses
    checkpoints: CheckpointStore

    async def ask(
        self, method: str, path: str, organisation: str, body: Any = None, scope: str = "trail:read trail:vouch"
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token(self.issuer, scope, organisation=organisation)}"}
        answer = await self.client.request(method, f"/v1/trail/{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def text(self, path: str, organisation: str) -> str:
        headers = {"Authorization": f"Bearer {token(self.issuer, 'trail:read', organisation=organisation)}"}
        answer = await self.client.get(f"/v1/trail/{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def register(self, by: Cosigner, organisation: str) -> Answer:
        return await self.ask("PUT", "witness-key", organisation, {"vkey": str(by.key)})

    async def cosign(self, checkpoint: str, organisation: str) -> Answer:
        return await self.ask("POST", "cosignatures", organisation, {"checkpoint": checkpoint})

    async def refused(self, answer: Awaitable[Answer]) -> tuple[int, str]:
        """The status of a refusal, and which check it says that failed."""
        status, body = await answer
        (error,) = body["errors"]
        assert body["type"] == f"urn:problem-type:hulpketen:{error['code']}"
        assert body["detail"] == error["message"]
        return status, error["code"]


@pytest.fixture
async def world(stack_infra: Infrastructure, tmp_path: Path) -> AsyncIterator[World]:
    settings, issuer = unconnected(tmp_path, auth=AuthSettings(issuer=ISSUER, audience="audit")), TestIssuer()

    async with a_database(stack_infra) as database, httpx.AsyncClient(base_url="http://audit.test") as client:
        await make_all(database, INDEXES)
        checkpoints = CheckpointStore(database)
        witnesses = Witnesses(WitnessStore(database), checkpoints, TheLog, now)
        for each, before in ((kept(5), 0), (kept(9), 5)):
            await checkpoints.add(each, before, now())
        router = routes(witnesses, checkpoints)
        app = create_app("audit", runtime=NoRuntime(), settings=settings, routers=[router], transport=issuer.transport)
        client._transport = httpx.ASGITransport(app)
        yield World(client, issuer, witnesses, checkpoints)


async def test_who_vouches_for_what_and_how_far_behind(world: World) -> None:
    maatjes, fonds = cosigner("maatjes"), cosigner("fonds.example/witness/fonds", 8)
    for by, organisation in ((maatjes, "maatjes"), (fonds, "fonds")):
        status, body = await world.register(by, organisation)
        assert (status, body["vkey"]) == (200, str(by.key))
    for checkpoint in (kept(5), kept(9)):
        status, body = await world.cosign(cosigned(checkpoint, maatjes), "maatjes")
        assert (status, body["size"]) == (201, checkpoint.size)
    assert (await world.cosign(cosigned(kept(5), fonds), "fonds"))[0] == 201
    for scope in ("operations", "audit:read"):
        status, body = await world.ask("GET", "witnesses", "gemeente", scope=scope)
        found = [(each["organisation"], each["size"], each["behind"]) for each in body["items"]]
        assert (status, body["size"], found) == (200, 9, [("fonds", 5, 4), ("maatjes", 9, 0)])
    assert (await world.ask("GET", "witnesses", "maatjes"))[0] == 403


async def test_the_checkpoint_is_shown_with_all_that_vouch_for_it(world: World) -> None:
    assert (await world.ask("GET", "cosigned-checkpoint", "wijkteam"))[0] == 404
    maatjes, fonds = cosigner("maatjes"), cosigner("fonds", 8)
    for by in (maatjes, fonds):
        await world.register(by, by.key.name)
        await world.cosign(cosigned(kept(9), by), by.key.name)
    text = await world.text("cosigned-checkpoint", "wijkteam")
    assert text == await world.witnesses.under(kept(9))
    assert open_checkpoint(text, [LOG.key]).size == 9
    keys = [CosignerKey.parse(str(by.key)) for by in (maatjes, fonds)]
    assert [each.name for each in cosignatures(text, keys)] == ["fonds", "maatjes"]
    assert await world.witnesses.under(kept(5)) == kept(5).text


async def test_the_same_again_changes_nothing(world: World) -> None:
    by = cosigner("maatjes")
    first, again = await world.register(by, "maatjes"), await world.register(by, "maatjes")
    assert first == again
    earlier = cosigned(kept(9), by, time.time() - 60)
    status, taken = await world.cosign(earlier, "maatjes")
    assert status == 201
    assert (await world.cosign(cosigned(kept(9), by), "maatjes")) == (200, taken)
    assert await world.witnesses.under(kept(9)) == earlier
    assert (await world.cosign(cosigned(kept(5), by), "maatjes"))[0] == 201
    _, body = await world.ask("GET", "witnesses", "gemeente", scope="operations")
    assert body["items"][0]["size"] == 9


async def test_a_key_is_changed_and_the_old_one_counts_no_more(world: World) -> None:
    old, new = cosigner("maatjes"), cosigner("maatjes", 8)
    await world.register(old, "maatjes")
    assert (await world.cosign(cosigned(kept(5), old), "maatjes"))[0] == 201
    assert (await world.register(new, "maatjes"))[0] == 200
    assert await world.refused(world.cosign(cosigned(kept(9), old), "maatjes")) == (400, "unknown-key")
    assert (await world.cosign(cosigned(kept(9), new), "maatjes"))[0] == 201
    assert await world.refused(world.register(old, "maatjes")) == (409, "key-replaced")
    for seed in range(20, 20 + MOST_KEYS - 2):
        assert (await world.register(cosigner("maatjes", seed), "maatjes"))[0] == 200
    assert await world.refused(world.register(cosigner("maatjes", 9), "maatjes")) == (409, "too-many-keys")


KEYS: list[tuple[str, tuple[int, str]]] = [
    (str(cosigner("wijkteam").key), (400, "key-name")),
    (str(cosigner("maatjes.example").key), (400, "key-name")),
    (str(cosigner("maatjes", 8).key), (409, "key-of-another")),
    (str(LOG.key), (400, "not-a-key")),
    ("maatjes", (400, "not-a-key")),
    (str(cosigner("maatjes").key)[:-4], (400, "not-a-key")),
]


@pytest.mark.parametrize(("vkey", "said"), KEYS)
async def test_a_key_that_is_none_or_not_ones_own(world: World, vkey: str, said: tuple[int, str]) -> None:
    await world.register(cosigner("fonds", 8), "fonds")
    assert await world.refused(world.ask("PUT", "witness-key", "maatjes", {"vkey": vkey})) == said


Made = Callable[[Cosigner], str]
CHECKPOINTS: dict[str, tuple[Made, tuple[int, str]]] = {
    "no note": (lambda by: "5", (400, "not-a-checkpoint")),
    "no checkpoint": (lambda by: str(Note("text\n", (LOG.sign("text\n"),))), (400, "not-a-checkpoint")),
    "another log": (lambda by: cosigned(kept(5, origin="other.test/log"), by), (400, "another-log")),
    "a size that was not signed": (lambda by: cosigned(kept(6), by), (409, "unknown-size")),
    "a root that nobody signed": (lambda by: cosigned(kept(5, root=1, signer=by), by), (409, "another-root")),
    "a root that we signed": (lambda by: cosigned(kept(5, root=1), by), (409, "forked")),
    "no cosignature": (lambda by: kept(5).text, (400, "unknown-key")),
    "that of another": (lambda by: cosigned(kept(5), cosigner("fonds", 8)), (400, "unknown-key")),
    "one of another checkpoint": (
        lambda by: str(Note.parse(kept(5).text).adding(Note.parse(cosigned(kept(9), by)).signatures[1:])),
        (400, "wrong-signature"),
    ),
    "one of tomorrow": (lambda by: cosigned(kept(5), by, time.time() + 86_400), (400, "signed-in-future")),
}


@pytest.mark.parametrize(("made", "said"), CHECKPOINTS.values(), ids=list(CHECKPOINTS))
async def test_a_cosignature_that_is_not_taken_says_which_check_failed(
    world: World, made: Made, said: tuple[int, str]
) -> None:
    by, forks = cosigner("maatjes"), metrics.forks._value.get()
    assert await world.refused(world.cosign(cosigned(kept(5), by), "maatjes")) == (409, "no-witness-key")
    await world.register(by, "maatjes")
    assert await world.refused(world.cosign(made(by), "maatjes")) == said
    assert metrics.forks._value.get() - forks == (said[1] == "forked")
    _, body = await world.ask("GET", "witnesses", "gemeente", scope="operations")
    assert [(each["size"], each["behind"]) for each in body["items"]] == [(None, 9)]
