"""A subscriber is a witness: what it says of a trail that goes on, and of a server that lies."""

from __future__ import annotations

import base64
import fcntl
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hulpketen_contracts import PartnerCheckpointPublished, encode, to_structured, with_sequence
from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from hulpketen_contracts.trail.cosignature import CosignerKey, cosignatures
from hulpketen_contracts.trail.note import Signer
from hulpketen_contracts.trail.tree import Proofs, leaf_hash
from typer.testing import CliRunner, Result

from cli.main import app
from cli.trail import ALARMED
from tests.contracts.samples import envelope_for

ORIGIN, PARTNER = "hulpketen.test/audit/1", "maatjes-voorbeeld"
ANOTHER = Signer(ORIGIN, b"2" * 32)


class Log:
    """A trail that is announced, and that can be rewritten."""

    def __init__(self) -> None:
        self.signer = Signer(ORIGIN, b"1" * 32)
        self.leaves: list[bytes] = []
        self.told = 0

    def grow(self, count: int) -> None:
        self.leaves += [leaf_hash(b"entry %d" % n) for n in range(len(self.leaves), len(self.leaves) + count)]

    def proofs(self, size: int) -> Proofs:
        return Proofs(size, lambda level, index, width: b"".join(self.leaves[:width]))

    def checkpoint(self) -> str:
        size = len(self.leaves)
        return sign_checkpoint(Checkpoint(ORIGIN, size, self.proofs(size).root()), self.signer)

    def announce(self) -> PartnerCheckpointPublished:
        size, before = len(self.leaves), self.told
        proof = [base64.b64encode(each).decode() for each in self.proofs(size).consistency(before)]
        self.told = size
        return PartnerCheckpointPublished(size=size, previous_size=before, checkpoint=self.checkpoint(), proof=proof)


class Door(BaseHTTPRequestHandler):
    """Issuer, notifications and audit in one. After what it has to say the feed is forbidden: a subscriber ends."""

    feed: ClassVar[list[PartnerCheckpointPublished]]
    log: ClassVar[Log]
    cosigned: ClassVar[list[str]]
    keys: ClassVar[list[str]]
    refuses: ClassVar[dict[str, tuple[int, str]]]
    given: ClassVar[int]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/v1/events":
            return self._events()
        if path == "/v1/organisations":
            return self._say(200, '{"items": [], "total": 0}')
        if path == "/v1/trail/keys":
            return self._say(200, f"{self.log.signer.key}\n")
        if path in self.refuses:
            return self._refuse(*self.refuses[path])
        if path == "/v1/trail/checkpoint":
            return self._say(200, self.log.checkpoint())
        old, size = (int(each.partition("=")[2]) for each in query.split("&"))
        hashes = [base64.b64encode(each).decode() for each in self.log.proofs(size).consistency(old)]
        return self._say(200, json.dumps({"hashes": hashes}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            return self._say(200, json.dumps({"access_token": "t"}))
        if self.path in self.refuses:
            return self._refuse(*self.refuses[self.path])
        self.cosigned.append(json.loads(body)["checkpoint"])
        return self._say(201, "{}")

    def do_PUT(self) -> None:
        self.keys.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["vkey"])
        self._say(200, "{}")

    def _events(self) -> None:
        after = int(self.headers.get("Last-Event-ID", "0"))
        if after >= len(self.feed):
            return self._refuse(403, "that was all")
        frames = [f"id: {after}\n\n"]
        for n, event in enumerate(self.feed[after:], after + 1):
            message = encode(
                event, envelope_for(event, time=datetime.now(UTC).replace(microsecond=0)), topic=f"partners.{PARTNER}"
            )
            numbered = message._replace(headers=list(with_sequence(dict(message.headers), n).items()))
            frames.append(f"id: {n}\ndata: {json.dumps(to_structured(numbered))}\n\n")
        return self._say(200, "".join(frames), "text/event-stream")

    def _refuse(self, status: int, detail: str) -> None:
        kind, _, said = detail.partition(": ")
        body = {"type": f"urn:problem-type:hulpketen:{kind}", "title": "No", "detail": said}
        self._say(status, json.dumps(body))

    def _say(self, status: int, text: str, kind: str = "application/json") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None: ...


class Chain:
    """A chain that is nothing but a door."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.log = Door.log = Log()
        Door.feed, Door.cosigned, Door.keys, Door.refuses = [], [], [], {}
        (folder / "keys").mkdir()
        (folder / "keys" / "hulpketen-cli.secret").write_text("s")
        addresses = dict.fromkeys(("issuer", "intake", "matching", "notifications", "audit"), url)
        (folder / "stack.json").write_text(json.dumps(addresses))

    def tell(self, grow: int) -> PartnerCheckpointPublished:
        self.log.grow(grow)
        Door.feed.append(self.log.announce())
        return Door.feed[-1]

    def subscribe(self, *words: str) -> Result:
        given = ["subscribe", "--organisation", PARTNER, "--data", str(self.folder), *words]
        return CliRunner().invoke(app, given)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "subscriptions" / f"{PARTNER}.json").read_text())
        return found


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Chain(tmp_path, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_goes_on_where_it_was_and_checks_each_checkpoint(chain: Chain) -> None:
    chain.tell(5)
    chain.tell(7)
    first = chain.subscribe("--json")
    assert "that was all" in str(first.exception)
    assert [json.loads(each)["checked"] for each in first.stdout.splitlines()] == ["first", "goes-on"]
    assert (chain.state["last"], chain.state["keys"]) == (2, f"{chain.log.signer.key}\n")
    told = chain.tell(200)
    again = chain.subscribe()
    (line,) = again.stdout.splitlines()
    assert line.startswith("3  ")
    assert line.endswith("the trail is signed up to 212 entries; goes on from what was kept")
    assert (chain.state["last"], chain.state["checkpoint"]) == (3, told.checkpoint)


def test_a_checkpoint_that_was_missed_is_proved_by_the_audit(chain: Chain) -> None:
    chain.tell(5)
    chain.subscribe()
    chain.log.grow(3)
    chain.log.announce()  # goes to nobody
    for status, said in ((503, "about:blank: later"), (404, "about:blank: no such address"), (400, "<html>")):
        Door.refuses = {"/v1/trail/consistency-proofs": (status, said)}
        chain.tell(4)
        later = chain.subscribe("--json")
        assert json.loads(later.stdout)["checked"] == "not-checked"
    assert (chain.state["last"], open_checkpoint(chain.state["checkpoint"], [chain.log.signer.key]).size) == (4, 5)
    Door.refuses = {}
    chain.tell(1)
    assert json.loads(chain.subscribe("--json").stdout)["checked"] == "goes-on"


def test_lines_that_are_given_again_are_the_beginning_of_what_was_kept(chain: Chain) -> None:
    for grow in (5, 7):
        chain.tell(grow)
    chain.subscribe()
    state = chain.state | {"last": None}
    (chain.folder / "subscriptions" / f"{PARTNER}.json").write_text(json.dumps(state))
    again = chain.subscribe("--json")
    assert [json.loads(each)["checked"] for each in again.stdout.splitlines()] == ["earlier", "goes-on"]


LIES = [
    "the line says another size",
    "an entry is altered",
    "an entry is removed",
    "another key",
    "a smaller tree",
    "the same size",
    "no proof",
]


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_is_found_out_and_what_shows_it_is_kept(chain: Chain, lie: str) -> None:
    kept = chain.tell(10)
    chain.subscribe()
    log = chain.log
    if lie == "an entry is altered":
        log.leaves[3] = leaf_hash(b"another")
        chain.tell(5)
    elif lie == "an entry is removed":
        del log.leaves[3]
        chain.tell(5)
    elif lie == "another key":
        log.signer = ANOTHER
        chain.tell(5)
    elif lie == "a smaller tree":
        log.leaves, log.told = [leaf_hash(b"%d" % n) for n in range(6)], 0
        Door.feed.append(log.announce())
        log.leaves += [leaf_hash(b"more")] * 4
    elif lie == "the same size":
        log.leaves[9], log.told = leaf_hash(b"another"), 0
        Door.feed.append(log.announce())
    elif lie == "the line says another size":
        log.grow(5)
        Door.feed.append(log.announce().model_copy(update={"size": 16}))
    else:
        log.told = 12
        Door.refuses = {"/v1/trail/consistency-proofs": (404, "not-signed: 9 entries are signed, and not 15.")}
        chain.tell(5)
    for _ in range(2):  # it is said again at the next start
        found = chain.subscribe("--json")
        assert found.exit_code == ALARMED, found.output
        assert found.stdout == ""
        assert "ALARM" in found.stderr
        assert (chain.state["last"], chain.state["checkpoint"]) == (1, kept.checkpoint)
    came = Door.feed[-1]
    size = open_checkpoint(came.checkpoint, [log.signer.key]).size
    shown = json.loads((chain.folder / "subscriptions" / f"{PARTNER}.alarm-{size}.json").read_text())
    assert (shown["kept"], shown["shown"]) == (kept.checkpoint, came.checkpoint)
    assert shown["why"] in found.stderr
    proven = lie not in ("the line says another size", "another key", "a smaller tree", "no proof")
    assert ("cannot both be true" in found.stderr) == proven == ("root" in shown)
    assert len(list((chain.folder / "subscriptions").glob("*.alarm*"))) == 1


def test_who_vouches_has_a_key_and_sends_the_newest_checkpoint_that_was_checked(chain: Chain) -> None:
    file = chain.folder / "maatjes.key"
    told = chain.tell(5)
    chain.subscribe("--cosign", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    (vkey,) = Door.keys
    key = CosignerKey.parse(vkey)
    assert key.name == PARTNER
    (sent,) = Door.cosigned
    assert open_checkpoint(sent, [chain.log.signer.key]) == open_checkpoint(told.checkpoint, [chain.log.signer.key])
    assert [each.name for each in cosignatures(sent, [key])] == [PARTNER]
    chain.tell(5)
    chain.subscribe("--cosign", str(file))
    assert Door.keys == [vkey, vkey]


@pytest.mark.parametrize("shows", ["another tree", "the same tree", "nothing"])
def test_where_the_audit_has_another_tree_than_it_signed_that_is_an_alarm(chain: Chain, shows: str) -> None:
    signed = chain.tell(5).checkpoint
    chain.subscribe()
    Door.refuses = {"/v1/trail/cosignatures": (409, "forked: the trail was rewritten")}
    if shows == "another tree":
        chain.log.leaves[2:] = [leaf_hash(b"another")] * 4
    if shows == "nothing":
        Door.refuses["/v1/trail/checkpoint"] = (503, "about:blank: later")
    now = "" if shows == "nothing" else chain.log.checkpoint()
    Door.feed.append(Door.feed[0])  # after a restart it vouches for what it kept, at the next line
    found = chain.subscribe("--cosign", str(chain.folder / "maatjes.key"))
    assert found.exit_code == ALARMED
    assert "the trail was rewritten" in found.stderr
    assert ("cannot both be true" in found.stderr) == (shows == "another tree")
    (file,) = (chain.folder / "subscriptions").glob("*.alarm*.json")
    shown = json.loads(file.read_text())
    assert (shown["kept"], shown["shown"]) == (signed, now)
    assert chain.state["checkpoint"] == signed


@pytest.mark.parametrize(
    ("file", "said"),
    [("subscriptions/maatjes-voorbeeld.json", "--state"), ("maatjes.key", "holds no private key")],
)
def test_a_file_that_is_not_what_it_should_be_is_one_clear_line(chain: Chain, file: str, said: str) -> None:
    (chain.folder / file).parent.mkdir(exist_ok=True)
    (chain.folder / file).write_text("{}")
    found = chain.subscribe("--cosign", str(chain.folder / "maatjes.key"))
    assert said in str(found.exception)
    assert found.exit_code == 1


def test_an_organisation_that_is_not_there_is_said(chain: Chain) -> None:
    found = CliRunner().invoke(app, ["subscribe", "--organisation", "nobody", "--data", str(chain.folder)])
    assert "there is no organisation 'nobody': choose one of" in str(found.exception)
    assert PARTNER in str(found.exception)
