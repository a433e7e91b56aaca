"""Is what came the continuation of what was kept: each checkpoint of a feed against the last one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from hulpketen_contracts import PartnerCheckpointPublished
from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.errors import NotConsistent, TrailError
from hulpketen_contracts.trail.note import VerifierKey
from hulpketen_contracts.trail.tree import check_consistency

FIRST, GOES_ON, EARLIER = "first", "goes-on", "earlier"
Prove = Callable[[int, int], Sequence[bytes]]
"""(from, to): the audit's proof that the tree of the one size goes on from that of the other. Raises StackError."""


class Alarm(Exception):
    """History was rewritten, or somebody else than the log speaks for it. The text says which check failed."""


class Watch:
    """Holds the last checkpoint that was checked: `kept`, empty before the first."""

    def __init__(self, keys: Sequence[str], kept: str, prove: Prove) -> None:
        """`keys`: vkeys of the log. Raises TrailError where one of them, or `kept`, is none."""
        self._keys = [VerifierKey.parse(key) for key in keys]
        self.kept = kept
        self._last = open_checkpoint(kept, self._keys) if kept else None
        self._prove = prove

    def take(self, announced: PartnerCheckpointPublished) -> str:
        """Check a checkpoint, and keep it where it goes on from the one before. Raises Alarm."""
        try:
            found = open_checkpoint(announced.checkpoint, self._keys)
            return self._compare(found, announced)
        except TrailError as error:
            raise Alarm(str(error)) from error

    def _compare(self, found: Checkpoint, announced: PartnerCheckpointPublished) -> str:
        last = self._last
        if last is not None and found.size < last.size:
            # A line that is given again, or is older than what was kept: it has to be the beginning of that.
            self._check(found, last, self._prove(found.size, last.size))
            return EARLIER
        if last is not None:
            told = announced.previous_size == last.size and found.size > last.size
            proof = [base64.b64decode(held) for held in announced.proof] if told else None
            self._check(last, found, self._prove(last.size, found.size) if proof is None else proof)
        self._last, self.kept = found, announced.checkpoint
        return GOES_ON if last is not None else FIRST

    def _check(self, old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
        if old.size == new.size and old.root != new.root:
            raise NotConsistent(f"the log signed two different trees of {old.size} entries")
        check_consistency(old.size, old.root, new.size, new.root, [] if old.size == new.size else proof)


def evidence(file: Path, why: str, kept: str, came: PartnerCheckpointPublished) -> None:
    """Write down what shows that history was rewritten: both are signed by the log, and cannot both be true."""
    held = {"why": why, "kept": kept, "came": came.model_dump(mode="json", by_alias=True)}
    file.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
