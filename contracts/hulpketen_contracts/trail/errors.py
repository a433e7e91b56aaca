"""What a check of the trail can find. The text says which check failed, and where."""

from __future__ import annotations

from collections.abc import Sequence


class TrailError(ValueError):
    """A check of the trail failed, or what was to be checked cannot be read."""


class Malformed(TrailError):
    """It is not in the form that it should have."""


class NoSuchKey(Malformed):
    """It is no key of this kind: of another, or none at all."""


class UnknownKey(TrailError):
    """No signature on it is by a key that is known."""


class SignatureForged(TrailError):
    """A signature says that it is by a known key, and is not."""


class WrongOrigin(TrailError):
    """The checkpoint is of another trail."""


class NotIncluded(TrailError):
    """The entry is not at this place of this tree: it was altered, or the proof is of another entry or tree."""


class NotConsistent(TrailError):
    """The larger tree is not a continuation of the smaller one, or the proof is of other trees."""


class ProofMissing(TrailError):
    """A proof is needed that did not come along."""


class HistoryRewritten(TrailError):
    """The trail does not go on from what it had signed: keep what shows it.

    `kept`, `shown`: the signed checkpoint that was kept before, and the one that was shown now. `root`: another root
    than that of `kept`, which `proof` (consistency) shows the first entries of `shown` to have: with these the two
    cannot both be true, and anybody can see it. Empty where the trail only did not show that it goes on.
    """

    def __init__(self, what: str, kept: str, shown: str, root: bytes = b"", proof: Sequence[bytes] = ()) -> None:
        super().__init__(what)
        self.kept = kept
        self.shown = shown
        self.root = root
        self.proof = list(proof)

    @property
    def proven(self) -> bool:
        """Whether `kept` and `shown` cannot both be true, by `root` and `proof`."""
        return bool(self.root)


class SizeWentBack(HistoryRewritten):
    """The later checkpoint is of a smaller tree: entries were taken away."""


class RootDiffers(TrailError):
    """What the tiles hold is not the tree that the checkpoint names."""


class TileTruncated(TrailError):
    """A tile or a bundle of entries has not as many entries as it should."""


class TileChanged(TrailError):
    """A tile does not hold the hashes of what lies below it."""


class CommitmentDiffers(TrailError):
    """This content is not what the entry committed to."""
