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
    Malformed,
    NotConsistent,
    ProofMissing,
    SizeWentBack,
    WrongOrigin,
)
from hulpketen_contracts.trail.note import Note, VerifierKey
from hulpketen_contracts.trail.tree import check_consistency, other_root

Fetch = Callable[[int, int], Sequence[bytes]]
"""(smaller size, larger size) to the proof of consistency: `GET /v1/trail/consistency-proofs?from=…&to=…`. Raises
NotConsistent where the trail says that it has not signed so many (`not-signed`): then it does not stand by it."""


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
        """Check what came in the feed. Raises as `check` does.

        A line may come again, and a feed may begin anew: what is smaller than the kept one has to be its beginning, and
        the kept one stays.
        """
        found = self._opened(event.checkpoint)
        if found.size != event.size:
            raise Malformed(f"the line tells of {event.size} entries, and its checkpoint of {found.size}")
        if self._kept is not None and self.last is not None and found.size < self._kept.size:
            self._consistent(found, self._kept, (self.last, event.checkpoint), None)
            return found
        return self.check(event.checkpoint, event.previous_size, [base64.b64decode(each) for each in event.proof])

    def check(self, raw: str, proof_from: int | None = None, proof: Sequence[bytes] = ()) -> Checkpoint:
        """Check the signed checkpoint that the trail shows now, and keep it.

        `proof` shows that it goes on from the tree of `proof_from` entries.

        Raises: HistoryRewritten (SizeWentBack where it is shorter), which is the alarm; ProofMissing where there is a
        gap and nothing to fetch a proof with; WrongOrigin, UnknownKey, SignatureForged, Malformed; what `fetch` raises.
        """
        found = self._opened(raw)
        if self._kept is not None and self.last is not None:
            kept, both = self._kept, (self.last, raw)
            if found.size < kept.size:
                raise SizeWentBack(f"the trail had {kept.size} entries, and now has {found.size}", *both)
            self._consistent(kept, found, both, proof if proof_from == kept.size else None)
        self.last, self._kept = raw, found
        return found

    def cosign(self, cosigner: Cosigner, time: int) -> str:
        """A cosignature of the last checkpoint, as a line to send back; `time` in seconds since 1970.

        Raises ProofMissing where there is none yet.
        """
        if self.last is None:
            raise ProofMissing("there is no checkpoint to cosign yet")
        return cosigner.cosign(Note.parse(self.last).text, time).line()

    def _opened(self, raw: str) -> Checkpoint:
        found = open_checkpoint(raw, self._keys)
        if self._kept is not None and found.origin != self._kept.origin:
            raise WrongOrigin(f"the checkpoint is of {found.origin}; the kept one is of {self._kept.origin}")
        return found

    def _consistent(
        self, old: Checkpoint, new: Checkpoint, both: tuple[str, str], proof: Sequence[bytes] | None
    ) -> None:
        trees = old.size, old.root, new.size, new.root
        proof = () if new.size == old.size or not old.size else proof
        try:
            if proof is None:
                proof = self._asked(old.size, new.size)
            try:
                return check_consistency(*trees, proof)
            except NotConsistent:
                # Perhaps the proof alone is wrong: then one that is asked for shows it.
                if self._fetch is None or not proof:
                    raise
            proof = self._asked(old.size, new.size)
            return check_consistency(*trees, proof)
        except NotConsistent as error:
            root = other_root(*trees, proof or ())
            raise HistoryRewritten(str(error), *both, root, proof or () if root else ()) from error

    def _asked(self, old: int, size: int) -> Sequence[bytes]:
        if self._fetch is None:
            raise ProofMissing(f"a proof is needed that a tree of {size} entries goes on from one of {old}")
        return self._fetch(old, size)
