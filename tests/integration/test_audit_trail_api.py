"""The signed trail over HTTP: what it gives is enough to check all of it, and each wrong question has its answer."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hulpketen_contracts.trail.checkpoint import open_checkpoint
from hulpketen_contracts.trail.note import VerifierKey
from hulpketen_contracts.trail.proof import check_proof
from hulpketen_contracts.trail.tiles import entries_path, tile_path, unpack
from hulpketen_contracts.trail.tree import Proofs, TileTree, check_consistency, check_inclusion, leaf_hash

from services.audit.api_trail import routes
from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.domain.leaves import leaf_of
from services.audit.place import Place
from services.audit.reading import TrailReader
from services.audit.store import TrailStore
from services.chassis.problems import TYPE_PREFIX
from services.chassis.processing_log import Looks
from services.chassis.settings import AuthSettings
from services.chassis.web import create_app
from tests.conftest import Infrastructure
from tests.integration.audit import Database, a_database, provider_of, trail, writer
from tests.integration.audit_signing import event_id, log_key, numbered, person, signer
from tests.integration.auditing import Auditor, NoRuntime, token
from tests.unit.chassis.issuer import ISSUER, TestIssuer
from tests.unit.chassis.unconnected import unconnected

SIZES = (300, 700)


class SignedTrail:
    """What the routes read."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.reader: TrailReader | None = TrailReader(CheckpointStore(database), Place(folder, 1))
        self.public_keys = [str(log_key(provider_of(database)).public())]


@pytest.fixture
async def database(stack_infra: Infrastructure) -> AsyncIterator[Database]:
    async with a_database(stack_infra) as fresh:
        yield fresh


@pytest.fixture
def signed(database: Database, tmp_path: Path) -> SignedTrail:
    return SignedTrail(database, tmp_path)


@pytest.fixture
async def empty(database: Database, signed: SignedTrail, tmp_path: Path) -> AsyncIterator[Auditor]:
    """An auditor at a trail of which nothing is signed."""

    async def text(kept: Kept) -> str:
        return kept.text

    issuer = TestIssuer()
    settings = unconnected(tmp_path, auth=AuthSettings(issuer=ISSUER, audience="audit"))
    async with httpx.AsyncClient(base_url="http://audit.test") as client:
        one = Auditor(client)
        looks = Looks("audit", one.record, lambda: bytes(32), lambda: datetime.now(UTC))
        router = routes(signed, TrailStore(database), looks, text)
        app = create_app("audit", runtime=NoRuntime(), settings=settings, routers=[router], transport=issuer.transport)
        client._transport = httpx.ASGITransport(app)
        client.headers["authorization"] = f"Bearer {token(issuer, 'audit:read trail:read')}"
        yield one


@pytest.fixture
async def auditor(empty: Auditor, database: Database, tmp_path: Path) -> Auditor:
    before = 0
    for size in SIZES:
        await writer(database).handle([numbered(n) for n in range(before, size)])
        await signer(database, tmp_path).step()
        before = size
    await writer(database).handle([numbered(700)])
    return empty


async def get(auditor: Auditor, path: str, **query: Any) -> httpx.Response:
    answer = await auditor.client.get(f"/v1/trail/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer


async def refused(auditor: Auditor, path: str, **query: Any) -> tuple[int, str, list[str]]:
    """Status, which check failed, and where."""
    answer = await auditor.client.get(f"/v1/trail/{path}", params=query)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    return (
        answer.status_code,
        body["type"].removeprefix(TYPE_PREFIX),
        [each["pointer"] for each in body.get("errors", ())],
    )


async def root(auditor: Auditor) -> tuple[int, bytes]:
    keys = [VerifierKey.parse(line) for line in (await get(auditor, "keys")).text.splitlines()]
    found = open_checkpoint((await get(auditor, "checkpoint")).text, keys)
    return found.size, found.root


async def test_from_keys_checkpoint_and_tiles_anybody_finds_the_same_root(auditor: Auditor) -> None:
    size, signed_root = await root(auditor)
    assert size == 700
    tiles = {(level, n): (await get(auditor, tile_path(level, n, width))) for level, n, width in TILES}
    proofs = Proofs(size, lambda level, n, _: tiles[level, n].content)
    assert proofs.root() == signed_root
    leaves = []
    for n, width in ((0, 256), (1, 256), (2, 188)):
        leaves += unpack((await get(auditor, entries_path(n, width))).content, width)
    assert b"".join(leaf_hash(leaf) for leaf in leaves[:256]) == tiles[0, 0].content
    assert tiles[0, 0].headers["content-type"] == "application/octet-stream"
    assert "immutable" in tiles[0, 0].headers["cache-control"]
    assert person(1) not in b"".join(leaves).decode()


TILES = ((0, 0, 256), (0, 1, 256), (0, 2, 188), (1, 0, 2))


async def test_a_tile_of_any_width_that_was_signed_is_there(auditor: Auditor) -> None:
    whole = (await get(auditor, tile_path(0, 0))).content
    assert (await get(auditor, tile_path(0, 0, 44))).content == whole[: 44 * 32]
    assert unpack((await get(auditor, entries_path(1, 44))).content, 44)[43].count(event_id(299).encode()) == 1


async def test_proofs_over_http_are_those_of_the_tree(auditor: Auditor, database: Database) -> None:
    size, signed_root = await root(auditor)
    old = await CheckpointStore(database).of(300)
    assert old
    answer = (await get(auditor, "consistency-proofs", **{"from": 300, "to": size})).json()
    check_consistency(300, old.root, size, signed_root, [b64decode(each) for each in answer["hashes"]])
    for n, entry in enumerate((await trail(database))[:700]):
        if n % 97 == 0:
            answer = (await get(auditor, "inclusion-proofs", index=n, size=size)).json()
            hashes = [b64decode(each) for each in answer["hashes"]]
            check_inclusion(size, signed_root, n, leaf_hash(leaf_of(entry)), hashes)
    assert auditor.lines == []


async def test_any_tree_up_to_the_signed_one_has_its_tiles_and_proofs(auditor: Auditor, database: Database) -> None:
    hashes = [leaf_hash(leaf_of(entry)) for entry in (await trail(database))[:700]]
    assert (await get(auditor, tile_path(0, 2, 70))).content == b"".join(hashes[512:582])
    tree = TileTree()
    size, signed_root = await root(auditor)
    for middle in (1, 70, 255, 256, 257, 299, 301, 512, 513, 650, 699):
        tree.extend(hashes[tree.size : middle])
        answer = (await get(auditor, "consistency-proofs", **{"from": middle, "to": size})).json()
        check_consistency(middle, tree.root(), size, signed_root, [b64decode(each) for each in answer["hashes"]])
        answer = (await get(auditor, "consistency-proofs", **{"from": 1, "to": middle})).json()
        check_consistency(1, hashes[0], middle, tree.root(), [b64decode(each) for each in answer["hashes"]])
        answer = (await get(auditor, "inclusion-proofs", index=middle // 2, size=middle)).json()
        proof = [b64decode(each) for each in answer["hashes"]]
        check_inclusion(middle, tree.root(), middle // 2, hashes[middle // 2], proof)


async def test_the_proof_of_an_entry_is_a_file_that_is_checked_with_the_key_alone(
    auditor: Auditor, signed: SignedTrail
) -> None:
    answer = await get(auditor, f"proofs/{event_id(123)}")
    proven = check_proof(answer.text, [VerifierKey.parse(signed.public_keys[0])])
    assert (proven.index, proven.leaf.event_id, proven.checkpoint.size) == (123, event_id(123), 700)
    assert [(line.name, line.subject) for line in auditor.lines] == [("prove-audit-entry", person(123))]


async def test_each_bundle_of_entries_is_a_line_of_the_processing_log_about_nobody(auditor: Auditor) -> None:
    await get(auditor, entries_path(0))
    await get(auditor, tile_path(0, 0))
    assert [(line.name, line.subject) for line in auditor.lines] == [("read-audit-entries", None)]
    auditor.log_answers = False
    assert (await auditor.client.get(f"/v1/trail/{entries_path(0)}")).status_code == 503


WRONG: list[tuple[str, dict[str, Any], tuple[int, str, list[str]]]] = [
    ("tile/0/003", {}, (404, "not-signed", [])),
    ("tile/0/002", {}, (404, "not-signed", [])),
    ("tile/0/002.p/189", {}, (404, "not-signed", [])),
    ("tile/1/000.p/3", {}, (404, "not-signed", [])),
    ("tile/2/000.p/1", {}, (404, "not-signed", [])),
    ("tile/entries/002.p/189", {}, (404, "not-signed", [])),
    ("tile/0/1", {}, (400, "invalid", ["/path"])),
    ("tile/0/../../../keys.json", {}, (404, "about:blank", [])),
    ("tile/0/%2e%2e/%2e%2e/checkpoint", {}, (400, "invalid", ["/path"])),
    ("tile/x/000", {}, (400, "invalid", ["/path"])),
    ("tile/64/000", {}, (400, "invalid", ["/path"])),
    ("tile/0/000.p/0", {}, (400, "invalid", ["/path"])),
    ("tile/0/000.p/256", {}, (400, "invalid", ["/path"])),
    ("tile/entries/x000/001", {}, (400, "invalid", ["/path"])),
    ("consistency-proofs", {"from": 300, "to": 701}, (404, "not-signed", [])),
    ("consistency-proofs", {"from": 301, "to": 300}, (400, "invalid", ["/from"])),
    ("consistency-proofs", {"from": -1, "to": 300}, (400, "invalid", ["/from"])),
    ("consistency-proofs", {"from": 1}, (400, "invalid", ["/to"])),
    ("inclusion-proofs", {"index": 300, "size": 300}, (400, "invalid", ["/index"])),
    ("inclusion-proofs", {"index": 0, "size": 701}, (404, "not-signed", [])),
    ("inclusion-proofs", {"index": "x", "size": 2}, (400, "invalid", ["/index"])),
    (f"proofs/{event_id(700)}", {}, (404, "not-signed", [])),
    (f"proofs/{event_id(9999)}", {}, (404, "about:blank", [])),
    ("proofs/x", {}, (400, "invalid", ["/event"])),
    ("period", {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, (400, "invalid", ["/to"])),
    ("period", {"from": "2026-02-01T00:00:00"}, (400, "invalid", ["/from"])),
]


async def test_each_wrong_question_is_told_what_is_wrong_with_it(auditor: Auditor) -> None:
    for path, query, expected in WRONG:
        assert await refused(auditor, path, **query) == expected, path


async def test_where_nothing_is_signed_that_is_said(empty: Auditor, signed: SignedTrail) -> None:
    for path in ("checkpoint", "tile/0/000.p/1"):
        assert (await refused(empty, path))[:2] == (404, "not-signed")
    signed.reader = None
    assert (await refused(empty, "checkpoint"))[:2] == (404, "not-signed")


async def test_what_is_signed_speaks_for_the_entries_that_auditors_search(auditor: Auditor, database: Database) -> None:
    await database["entries"].update_one({"_id": 5}, {"$set": {"organisation": "another"}})
    tile, bundle = (await get(auditor, tile_path(0, 0))).content, (await get(auditor, entries_path(0))).content
    differ = [n for n, leaf in enumerate(unpack(bundle, 256)) if leaf_hash(leaf) != tile[n * 32 : n * 32 + 32]]
    assert differ == [5]
    await database["entries"].delete_one({"_id": 5})
    assert (await refused(auditor, entries_path(0)))[:2] == (503, "tiles-damaged")


async def test_between_which_numbers_a_period_stands(auditor: Auditor, database: Database) -> None:
    at = datetime(2026, 2, 1, tzinfo=UTC)
    await database["entries"].update_many({"_id": {"$in": [40, 60]}}, {"$set": {"at": at}})
    asked = {"from": at.isoformat(), "to": (at + timedelta(seconds=1)).isoformat()}
    assert (await get(auditor, "period", **asked)).json() == {"first": 40, "end": 61}
    assert (await get(auditor, "period", **asked | {"to": at.isoformat()})).json() == {"first": 0, "end": 0}


async def test_a_truncated_tile_of_the_second_place_is_ours_to_mend(auditor: Auditor, tmp_path: Path) -> None:
    path = "tile/0/002.p/188"
    file = tmp_path / "1" / path
    file.write_bytes(file.read_bytes()[:-5])
    assert (await refused(auditor, path))[:2] == (503, "tiles-damaged")
    assert (await refused(auditor, "inclusion-proofs", index=699, size=700))[:2] == (503, "tiles-damaged")


async def test_a_proof_from_altered_tiles_is_not_given(auditor: Auditor, tmp_path: Path) -> None:
    """To a partner a wrong proof is the alarm that history was rewritten."""
    file = tmp_path / "1/tile/0/000"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    assert (await refused(auditor, f"proofs/{event_id(7)}"))[:2] == (503, "tiles-damaged")
    for size in (699, 700):
        assert (await refused(auditor, "inclusion-proofs", index=7, size=size))[:2] == (503, "tiles-damaged")
        asked = {"from": 100, "to": size}
        assert (await refused(auditor, "consistency-proofs", **asked))[:2] == (503, "tiles-damaged")
