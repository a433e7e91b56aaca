"""The key that signs checkpoints, and the name of the log that it signs for."""

from __future__ import annotations

from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from hulpketen_contracts.trail.note import Signer, VerifierKey

from services.audit.checkpoints import Kept
from services.chassis.keys import DerivedKey, KeyProvider


class LogKey:
    """Derived from the first master key, so that it stays the same; every generation of the log has a name of its own.

    Every method raises StoreUnavailable as long as the keys are not open.
    """

    def __init__(self, keys: KeyProvider, origin: str, generation: int) -> None:
        self.origin = f"{origin}/{generation}"
        self._seed = DerivedKey(keys, "trail-checkpoints", oldest=True)
        self._made: Signer | None = None

    def sign(self, size: int, root: bytes) -> str:
        """The signed note of a tree."""
        return sign_checkpoint(Checkpoint(self.origin, size, root), self._signer())

    def read(self, text: str) -> Kept:
        """Such a note, after its signature was checked. Raises TrailError."""
        found = open_checkpoint(text, [self.public()])
        return Kept(found.size, found.root, text)

    def public(self) -> VerifierKey:
        """What others check the signature with."""
        return self._signer().key

    def _signer(self) -> Signer:
        self._made = self._made or Signer(self.origin, self._seed())
        return self._made
