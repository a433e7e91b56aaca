"""A partner watches over the trail: each checkpoint is checked against the last one that the partner kept.

Start with `Witness(keys)` and keep `last` with what you took from the feed, in one write; go on with
`Witness(keys, last)`. `keys` are those that you were given at the start, by another way than the feed. Where history
was rewritten since, no checkpoint can be made that passes: keep both checkpoints then, and tell everybody.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from hulpketen_contracts.checkpoints import Announced
from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.cosignature import Cosigner
from hulpketen_contracts.trail.errors import (
    HistoryRewritten,
    NotConsistent,
    ProofMissing,
    SizeWentBack,
    WrongOrigin,
)
from hulpketen_contracts.trail.note import Note, VerifierKey
from hulpketen_contracts.trail.tree import check_consistency

Fetch = Callable[[int, int], Sequence[bytes]]
"""(smaller size, larger size) to the proof of consistency: `GET /v1/trail/consistency-proofs?from=…&to=…`."""


class Witness:
    """Holds the last checkpoint that was right. After an error it holds the same one as before."""

    def __init__(self, keys: Sequence[VerifierKey], last: str | None = None, fetch: Fetch | None = None) -> None:
        """`last`: the signed checkpoint that was kept; None takes the first that comes on trust, if its signature is
        right. `fetch` is asked where the proof that comes along does not begin at the kept one.

        Raises TrailError where the kept one is not signed by these keys.
        """
        self.last = last
        self._keys = keys
        self._fetch = fetch
        self._kept = open_checkpoint(last, keys) if last is not None else None

    @property
    def size(self) -> int:
        """How many entries the last checkpoint is over; 0 before the first."""
        return self._kept.size if self._kept else 0

    def announced(self, event: Announced) -> Checkpoint:
        """Check what came in the feed. Raises as `check` does."""
        return self.check(event.checkpoint, event.previous_size, [base64.b64decode(each) for each in event.proof])

    def check(self, raw: str, proof_from: int | None = None, proof: Sequence[bytes] = ()) -> Checkpoint:
        """Check a signed checkpoint, and keep it. `proof` shows that it goes on from the tree of `proof_from` entries.

        Raises: HistoryRewritten (SizeWentBack where it is shorter), which is the alarm; ProofMissing where there is a
        gap and nothing to fetch a proof with; WrongOrigin, UnknownKey, SignatureForged, Malformed; what `fetch` raises.
        """
        found = open_checkpoint(raw, self._keys)
        if self._kept is not None and self.last is not None:
            if found.origin != self._kept.origin:
                raise WrongOrigin(f"the checkpoint is of {found.origin}; the kept one is of {self._kept.origin}")
            self._compare(self._kept, found, (self.last, raw), proof if proof_from == self._kept.size else None)
        self.last, self._kept = raw, found
        return found

    def cosign(self, cosigner: Cosigner, time: int) -> str:
        """A cosignature of the last checkpoint, as a line to send back; `time` in seconds since 1970.

        Raises ProofMissing where there is none yet.
        """
        if self.last is None:
            raise ProofMissing("there is no checkpoint to cosign yet")
        return cosigner.cosign(Note.parse(self.last).text, time).line()

    def _compare(
        self, kept: Checkpoint, found: Checkpoint, both: tuple[str, str], proof: Sequence[bytes] | None
    ) -> None:
        if found.size < kept.size:
            raise SizeWentBack(f"the trail had {kept.size} entries, and now has {found.size}", *both)
        if found.size == kept.size or not kept.size:
            proof = ()
        try:
            self._consistent(kept, found, proof)
        except NotConsistent as error:
            raise HistoryRewritten(str(error), *both) from error

    def _consistent(self, kept: Checkpoint, found: Checkpoint, proof: Sequence[bytes] | None) -> None:
        if proof is not None:
            try:
                return check_consistency(kept.size, kept.root, found.size, found.root, proof)
            except NotConsistent:
                # Perhaps the proof alone is wrong: then one that is asked for shows it.
                if self._fetch is None or found.size == kept.size:
                    raise
        if self._fetch is None:
            raise ProofMissing(f"a proof is needed that {found.size} entries go on from the {kept.size} that were kept")
        return check_consistency(kept.size, kept.root, found.size, found.root, self._fetch(kept.size, found.size))
