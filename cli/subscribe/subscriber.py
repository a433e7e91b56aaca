"""One organisation's subscription: prints the lines of its feed, and checks what they say of the trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hulpketen_contracts import Decoded, PartnerCheckpointPublished
from hulpketen_contracts.trail.errors import TrailError

from cli.chain import Chain
from cli.subscribe.audit import Audit, NoProof
from cli.subscribe.feed import Feed, say
from cli.subscribe.lines import in_json, in_words
from cli.subscribe.place import Place
from cli.subscribe.vouching import Voucher, load_key
from cli.subscribe.watch import Alarm, Watch, evidence
from deploy.local.access import SCOPES, roles_at, sample_organisations
from deploy.local.errors import StackError

# What is older waits for the next silence: of many old checkpoints the last one says it all.
_FRESH_S = 60.0
_UNCHECKED = "not-checked"


class Subscriber:
    """Keeps its place in `file` after each line; where it cannot be checked a checkpoint changes nothing there."""

    def __init__(self, chain: Chain, organisation: str, file: Path, *, as_json: bool) -> None:
        """Raises StackError where the organisation is not there, or what was kept cannot be read."""
        self._organisation = organisation
        self._file = file
        self._show = in_json if as_json else in_words
        self._place = Place.load(file)
        role = _role(chain, organisation)
        municipalities = " ".join(_known(chain, organisation)["municipalities"])
        self._audit = Audit(chain, lambda: chain.token(role, organisation, municipalities))
        self._feed = Feed(chain, lambda: chain.token(role, organisation, municipalities), self._place.last)
        self._watch = self._watching()
        self._voucher: Voucher | None = None
        self._came: PartnerCheckpointPublished | None = None

    def begin(self, cosign: Path | None) -> None:
        """Register the key in this file, if any. Raises StackError."""
        if cosign:
            self._voucher = Voucher(load_key(cosign, self._organisation), self._audit.send)
            self._voucher.register()
            self._voucher.checked(self._place.checkpoint)

    def run(self) -> None:
        """Until it is ended. Raises Alarm, StackError."""
        for event in self._feed.follow():
            if event is None:
                self._vouch()
                continue
            checked = self._check(event)
            print(self._show(self._feed.last, event, checked), flush=True)
            self._place = self._place._replace(last=self._feed.last, checkpoint=self._watch.kept)
            self._place.keep(self._file)
            if (datetime.now(UTC) - event.envelope.time).total_seconds() < _FRESH_S:
                self._vouch()

    def alarm(self, alarm: Alarm) -> None:
        """Say what was found, and keep what shows it. Raises StackError where that cannot be written."""
        say("ALARM: what the audit's trail says now does not go on from what it said before.")
        say(f"The check that failed: {alarm}.")
        if self._came is not None:
            shown = self._file.with_suffix(f".alarm-{self._came.size}.json")
            evidence(shown, str(alarm), self._watch.kept, self._came)
            say(f"Both are kept in {shown}: they are signed, and cannot both be true. Give a copy to the auditor.")
        say("Nothing was taken over: the same is said again at the next start. See docs/operations/trail.md.")

    def _check(self, event: Decoded) -> str:
        """What came of the check of a checkpoint; empty for all other lines. Raises Alarm."""
        if not isinstance(event.data, PartnerCheckpointPublished):
            return ""
        self._came = event.data
        try:
            checked = self._watch.take(event.data)
        except NoProof as error:
            say(f"a checkpoint could not be checked now, and was not taken over: {error}")
            return _UNCHECKED
        if self._voucher:
            self._voucher.checked(self._watch.kept)
        return checked

    def _vouch(self) -> None:
        """Raises Alarm where the audit has another tree than the one that it signed."""
        if self._voucher and (refused := self._voucher.send()):
            raise Alarm(refused)

    def _watching(self) -> Watch:
        keys: Sequence[str] = self._place.keys
        if not keys:
            keys = self._audit.keys()
            self._place = self._place._replace(keys=tuple(keys))
            for key in keys:
                say(f"the trail is signed with {key}: compare that with what its keeper told you")
        try:
            return Watch(keys, self._place.checkpoint, self._audit.prove)
        except TrailError as error:
            raise StackError(f"what is kept in {self._file} is not right: {error}") from error


def _known(chain: Chain, organisation: str) -> dict[str, list[str]]:
    known = {each["id"]: each for each in sample_organisations()}
    if organisation not in known:
        known |= {each["id"]: each for each in chain.organisations()}
    if organisation not in known:
        raise StackError(f"there is no organisation '{organisation}': choose one of {', '.join(sorted(known))}")
    return known[organisation]


def _role(chain: Chain, organisation: str) -> str:
    """A role of the organisation that reads its feed."""
    return next(role for role in roles_at(_known(chain, organisation)) if "feed:read" in SCOPES[role].split())
