"""One organisation's subscription: prints the lines of its feed, and checks what they say of the trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
from hulpketen_contracts import Decoded, PartnerCheckpointPublished
from hulpketen_contracts.trail.errors import HistoryRewritten, TrailError
from hulpketen_contracts.trail.part import Keys
from hulpketen_contracts.trail.witness import Witness

from cli.chain import Chain
from cli.subscribe.feed import Feed, say
from cli.subscribe.lines import EARLIER, FIRST, GOES_ON, UNCHECKED, in_json, in_words
from cli.subscribe.vouching import Voucher, load_key
from cli.trail.memory import Memory
from cli.trail.remote import NoProof, Remote
from deploy.local.access import SCOPES, roles_at, sample_organisations
from deploy.local.errors import StackError

# What is older waits for the next silence: of many old checkpoints the last one says it all.
_FRESH_S = 60.0


class Alarm(Exception):
    """History was rewritten, or somebody else than the log speaks for it. The text says which check failed.

    `kept`, `shown`: the checkpoint that was kept before, and the one that was shown now (empty where none was).
    `error`: which of these it was, if any.
    """

    def __init__(self, why: str, kept: str, shown: str, error: HistoryRewritten | None = None) -> None:
        super().__init__(why)
        self.kept = kept
        self.shown = shown
        self.error = error


class Subscriber:
    """Keeps its place in memory's file after each line; where it cannot be checked a checkpoint changes nothing."""

    def __init__(self, feed: Feed, audit: Remote, organisation: str, memory: Memory, *, as_json: bool) -> None:
        """Raises StackError where what was kept is not right."""
        self._feed = feed
        self._audit = audit
        self._organisation = organisation
        self._memory = memory
        self._show = in_json if as_json else in_words
        self._witness = self._witnessing()
        self._voucher: Voucher | None = None

    def begin(self, cosign: Path | None) -> None:
        """Register the key in this file, if any. Raises StackError."""
        if cosign:
            self._voucher = Voucher(load_key(cosign, self._organisation), self._audit.send)
            self._voucher.register()
            self._voucher.checked(self._memory.checkpoint)

    def run(self) -> None:
        """Until it is ended. Raises Alarm, StackError."""
        for event in self._feed.follow():
            if event is None:
                self._vouch()
                continue
            checked = self._check(event)
            print(self._show(self._feed.last, event, checked), flush=True)
            self._memory = self._memory._replace(last=self._feed.last, checkpoint=self._witness.last or "")
            self._memory.keep()
            if (datetime.now(UTC) - event.envelope.time).total_seconds() < _FRESH_S:
                self._vouch()

    def alarm(self, alarm: Alarm) -> None:
        """Say what was found, and keep what shows it. Raises StackError where that cannot be written."""
        say("ALARM: what the audit's trail says now does not go on from what it said before.")
        say(f"The check that failed: {alarm}.")
        file = self._memory.evidence(str(alarm), alarm.kept, alarm.shown, alarm.error)
        proven = alarm.error is not None and alarm.error.proven
        what = ": they are signed, and cannot both be true" if proven else ""
        say(f"What was kept and what was shown are in {file}{what}. Give a copy to the auditor.")
        say("What was kept stays: the same is said again at the next start. See docs/operations/trail.md.")

    def _check(self, event: Decoded) -> str:
        """What came of the check of a checkpoint; empty for all other lines. Raises Alarm."""
        if not isinstance(event.data, PartnerCheckpointPublished):
            return ""
        kept, before = self._witness.last or "", self._witness.size
        try:
            size = self._witness.announced(event.data).size
        except NoProof as error:
            say(f"a checkpoint could not be checked now, and was not taken over: {error}")
            return UNCHECKED
        except TrailError as error:
            rewritten = error if isinstance(error, HistoryRewritten) else None
            raise Alarm(str(error), kept, event.data.checkpoint, rewritten) from error
        if self._voucher:
            self._voucher.checked(self._witness.last or "")
        if not kept:
            return FIRST
        return EARLIER if size < before else GOES_ON

    def _vouch(self) -> None:
        """Raises Alarm where the audit has another tree than the one that it signed."""
        if self._voucher and (refused := self._voucher.send()):
            raise self._forked(refused)

    def _forked(self, refused: str) -> Alarm:
        """With what the audit shows now, beside what it signed and now refuses."""
        kept, shown = self._witness.last or "", ""
        try:
            shown = self._audit.checkpoint()
            self._witness.check(shown)
        except HistoryRewritten as error:
            return Alarm(f"{refused} ({error})", kept, shown, error)
        except (TrailError, NoProof, StackError, httpx.HTTPError) as error:
            refused = f"{refused} ({str(error) or type(error).__name__})"
        return Alarm(refused, kept, shown)

    def _witnessing(self) -> Witness:
        memory = self._memory
        if not memory.keys:
            self._memory = memory = memory._replace(keys=self._audit.trail_keys())
            for key in memory.keys.splitlines():
                say(f"the trail is signed with {key}: compare that with what its keeper told you")
        try:
            return Witness(Keys.parse(memory.keys).trail, memory.checkpoint or None, self._audit.consistency)
        except TrailError as error:
            raise StackError(f"what is kept in {memory.file} is not right: {error}") from error


def token_of(chain: Chain, organisation: str) -> Callable[[], str]:
    """Tokens with which the organisation reads its feed. Raises StackError where the organisation is not there."""
    known = {each["id"]: each for each in sample_organisations()}
    if organisation not in known:
        known |= {each["id"]: each for each in chain.organisations()}
    if organisation not in known:
        raise StackError(f"there is no organisation '{organisation}': choose one of {', '.join(sorted(known))}")
    role = next(role for role in roles_at(known[organisation]) if "feed:read" in SCOPES[role].split())
    return lambda: chain.token(role, organisation, " ".join(known[organisation]["municipalities"]))
