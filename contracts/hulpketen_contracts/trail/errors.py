"""What a check of the trail can find. The text says which check failed, and where."""

from __future__ import annotations


class TrailError(ValueError):
    """A check of the trail failed, or what was to be checked cannot be read."""


class Malformed(TrailError):
    """It is not in the form that it should have."""


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
    """Two signed checkpoints of one trail contradict each other: keep both, they prove it to anybody.

    `kept`, `shown`: the signed checkpoint that was kept before, and the one that was shown now.
    """

    def __init__(self, what: str, kept: str, shown: str) -> None:
        super().__init__(what)
        self.kept = kept
        self.shown = shown


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
