"""The audit tells how far its trail is signed, so that it cannot be rewritten unseen: every partner hears of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.event import Event, Part

TreeSize = Annotated[int, Field(ge=1, le=2**53 - 1)]
SignedNote = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$")]
"""A signed note as C2SP has it: lines, an empty one, and signatures. It says nothing about a person."""

TreeHash = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""A hash of 32 bytes in base64."""


class Announced(Part):
    """A checkpoint (C2SP tlog-checkpoint) over the first `size` entries of the trail.

    `proof` shows that the tree of `previous_size` entries, which was announced before, is the beginning of this one
    (RFC 6962, 2.1.2). Where nothing was announced before `previous_size` is 0 and there is nothing to show.
    """

    size: TreeSize
    previous_size: Annotated[int, Field(ge=0, le=2**53 - 1)]
    checkpoint: SignedNote
    proof: Annotated[list[TreeHash], Field(max_length=64)]


class CheckpointPublished(Announced, Event):
    """The trail is signed up to this size, and what was announced before is its beginning."""

    TYPE = "nl.hulpketen.checkpoints.published.v1"
    TOPIC = "checkpoints"
