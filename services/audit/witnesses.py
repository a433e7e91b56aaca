"""Partners vouch for the trail: each with a key of its own, over checkpoints that it saw and found to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

from hulpketen_contracts.trail.checkpoint import Checkpoint
from hulpketen_contracts.trail.cosignature import CosignerKey, time_of
from hulpketen_contracts.trail.errors import Malformed, SignatureForged, TrailError, UnknownKey
from hulpketen_contracts.trail.note import Note

from services.audit import metrics
from services.audit.checkpoints import CheckpointStore, Kept
from services.audit.witness_store import Cosigned, Witness, WitnessKey, WitnessStore
from services.chassis.logs import get_logger

log = get_logger(__name__)
MOST_KEYS = 20
# So far may the clock of a witness be ahead.
_AHEAD = timedelta(minutes=5)


class Log(Protocol):
    """What signs checkpoints."""

    origin: str

    def read(self, text: str) -> Kept:
        """A checkpoint, if it is signed with the key of this log. Raises TrailError."""


class Refused(Exception):
    """What a witness sent is not taken: which check failed, as a slug, and what it says in words."""

    def __init__(self, check: str, detail: str, status: int = 400) -> None:
        super().__init__(check)
        self.check, self.detail, self.status = check, detail, status


class Witnesses:
    """Keys of organisations, and what they vouch for. Every method raises StoreUnavailable."""

    def __init__(
        self,
        store: WitnessStore,
        checkpoints: CheckpointStore,
        log_key: Callable[[], Log | None],
        clock: Callable[[], datetime],
    ) -> None:
        """`log_key`: the log that there is; None where nothing is signed."""
        self._store = store
        self._checkpoints = checkpoints
        self._log = log_key
        self._clock = clock

    async def register(self, organisation: str, vkey: str) -> WitnessKey:
        """The key with which an organisation vouches from now on. Raises Refused."""
        key = _parsed(vkey)
        if key.name.rpartition("/")[2] != organisation:
            raise Refused("key-name", f"The name of the key must be {organisation}, or end in /{organisation}.")
        had = await self._store.keys(organisation)
        if had and had[-1].vkey == str(key):
            return had[-1]
        if any(each.material == key.key for each in had):
            raise Refused("key-replaced", "This key was replaced before, and does not come back: make a new one.", 409)
        if len(had) >= MOST_KEYS:
            raise Refused("too-many-keys", "Your key was changed too often: ask who keeps the chain.", 409)
        new = WitnessKey(str(key), key.key, self._clock())
        if not await self._store.register(organisation, new, len(had)):
            if await self._store.owner(key.key) not in (None, organisation):
                raise Refused("key-of-another", "This key is another organisation's: make one of your own.", 409)
            raise Refused("key-changed", "Your key was changed by another request at the same time.", 409)
        log.info("witness_key", organisation=organisation, key=key.name, before=len(had))
        return new

    async def cosign(self, organisation: str, raw: str) -> tuple[Cosigned, bool]:
        """Take a checkpoint with the cosignature of an organisation under it; what it vouched for that checkpoint, and
        whether that is new. Raises Refused."""
        note, seen = _read(raw)
        ours = self._log()
        if ours is None:
            raise Refused("not-signed", "This trail is not signed.", 409)
        if seen.origin != ours.origin:
            raise Refused("another-log", f"This checkpoint is of another log. This one is called {ours.origin}.")
        kept = await self._checkpoints.of(seen.size)
        if kept is None:
            raise Refused("unknown-size", "No checkpoint was signed here over so many entries.", 409)
        if kept.root != seen.root:
            _another_root(ours, organisation, raw, seen.size)
        if Note.parse(kept.text).text != note.text:
            raise Refused("another-text", "The checkpoint over so many entries reads otherwise here.", 409)
        line, signed_at = await self._signature(organisation, note)
        found = Cosigned(organisation, ours.origin, seen.size, line, signed_at, self._clock())
        new = await self._store.add(found)
        return found if new else await self._store.of(organisation, ours.origin, seen.size) or found, new

    async def under(self, kept: Kept) -> str:
        """The text of a checkpoint with all that vouch for it under it."""
        return kept.text + "".join(await self._store.lines(self._origin(), kept.size))

    async def largest(self) -> str | None:
        """The text of the largest checkpoint that somebody vouches for, with all who do; None where nobody does."""
        size = max((each.last.size for each in await self.all() if each.last), default=0)
        kept = await self._checkpoints.of(size)
        return await self.under(kept) if kept else None

    async def all(self) -> Sequence[Witness]:
        """Everybody who has a key. What was vouched for of an earlier log is left out."""
        origin = self._origin()
        found = await self._store.all()
        return [each if each.last and each.last.origin == origin else each._replace(last=None) for each in found]

    def _origin(self) -> str:
        ours = self._log()
        return ours.origin if ours else ""

    async def _signature(self, organisation: str, note: Note) -> tuple[str, datetime]:
        had = await self._store.keys(organisation)
        if not had:
            raise Refused("no-witness-key", "Register your key first: PUT /v1/trail/witness-key.", 409)
        key = CosignerKey.parse(had[-1].vkey)
        try:
            ((_, signature), *_) = note.verified([key])
        except UnknownKey:
            raise Refused("unknown-key", f"No signature under it is of your key {key.name}+{key.id.hex()}.") from None
        except SignatureForged:
            raise Refused("wrong-signature", "The signature is not one of your key under this checkpoint.") from None
        seconds = time_of(signature.signature)
        if seconds > (self._clock() + _AHEAD).timestamp():
            raise Refused("signed-in-future", "The time of your signature lies ahead: is your clock right?")
        return signature.line(), datetime.fromtimestamp(seconds, UTC)


def _another_root(ours: Log, organisation: str, raw: str, size: int) -> NoReturn:
    try:
        ours.read(raw)
    except TrailError:
        detail = "The tree over so many entries has another root here, and your checkpoint is not signed by us."
        raise Refused("another-root", detail, 409) from None
    metrics.forks.inc()
    log.error("trail_forked", organisation=organisation, size=size)
    detail = "You have a checkpoint that we signed, with another root than ours: the trail was rewritten. Keep it."
    raise Refused("forked", detail, 409)


def _parsed(vkey: str) -> CosignerKey:
    try:
        return CosignerKey.parse(vkey)
    except Malformed as error:
        raise Refused("not-a-key", f"This is no key of a cosigner (C2SP vkey, type 0x04): {error}.") from None


def _read(raw: str) -> tuple[Note, Checkpoint]:
    try:
        note = Note.parse(raw)
        return note, Checkpoint.parse(note.text)
    except Malformed as error:
        raise Refused("not-a-checkpoint", f"This is no signed checkpoint: {error}.") from None
