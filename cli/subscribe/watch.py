"""Is what came the continuation of what was kept: each checkpoint of a feed against the last one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hulpketen_contracts import PartnerCheckpointPublished
from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.errors import TrailError
from hulpketen_contracts.trail.note import VerifierKey
from hulpketen_contracts.trail.tree import check_consistency
from hulpketen_contracts.trail.witness import Fetch, Witness

FIRST, GOES_ON, EARLIER = "first", "goes-on", "earlier"


class Alarm(Exception):
    """History was rewritten, or somebody else than the log speaks for it. The text says which check failed."""


class Watch:
    """A witness that may be given lines of its feed again: older ones have to be the beginning of what it kept."""

    def __init__(self, keys: Sequence[str], kept: str, fetch: Fetch) -> None:
        """`keys`: vkeys of the log; `kept`: the last checkpoint, empty before the first. Raises TrailError where one of
        them is none."""
        self._keys = [VerifierKey.parse(key) for key in keys]
        self._fetch = fetch
        self._witness = Witness(self._keys, kept or None, fetch)

    @property
    def kept(self) -> str:
        """The last checkpoint that was checked; empty before the first."""
        return self._witness.last or ""

    def take(self, announced: PartnerCheckpointPublished) -> str:
        """Check a checkpoint, and keep it where it goes on from the one before. Raises Alarm, and what `fetch` does."""
        first = not self.kept
        try:
            found = open_checkpoint(announced.checkpoint, self._keys)
            if found.size != announced.size:
                raise TrailError(f"the line tells of {announced.size} entries, and its checkpoint of {found.size}")
            if found.size < self._witness.size:
                self._beginning(found)
                return EARLIER
            self._witness.announced(announced)
        except TrailError as error:
            raise Alarm(str(error)) from error
        return FIRST if first else GOES_ON

    def _beginning(self, earlier: Checkpoint) -> None:
        kept = open_checkpoint(self.kept, self._keys)
        proof = self._fetch(earlier.size, kept.size)
        check_consistency(earlier.size, earlier.root, kept.size, kept.root, proof)


def evidence(file: Path, why: str, kept: str, came: PartnerCheckpointPublished) -> None:
    """Write down what shows that history was rewritten: both are signed by the log, and cannot both be true."""
    held = {"why": why, "kept": kept, "came": came.model_dump(mode="json", by_alias=True)}
    file.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
