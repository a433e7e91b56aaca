"""What was announced of the trail, and what is to be announced next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hulpketen_contracts import CheckpointPublished, Decoded

from services.chassis.pipeline.model import Decision, Emit, State

STREAM = "trail"


class Signed(NamedTuple):
    """A checkpoint that was signed: the log's name (its first line), how many entries it is over, its whole text."""

    origin: str
    size: int
    text: str


def announced(state: State | None, origin: str) -> int:
    """The size that was announced last of the log with this name; 0 where nothing was."""
    return int(state["size"]) if state and state["origin"] == origin else 0


def announced_checkpoint(state: State | None, origin: str) -> str | None:
    """The signed note of that size."""
    return str(state["checkpoint"]) if state and state["origin"] == origin and "checkpoint" in state else None


def announce(state: State | None, signed: Signed, before: int, proof: Sequence[str]) -> Decision | None:
    """Tell of a checkpoint. `proof`: base64, from the tree of `before` entries, the size announced last, to this one.

    None where another process told of it, or of a larger one, since that size was read: what is told never shrinks,
    and each proof begins where the last ended.
    """
    if announced(state, signed.origin) != before or signed.size <= before:
        return None
    event = CheckpointPublished(size=signed.size, previous_size=before, checkpoint=signed.text, proof=list(proof))
    return Decision(_state(event), [Emit(event)])


def reflect(state: State | None, event: Decoded) -> State | None:
    """The state with what one of our own events says: for a database that was restored from a backup."""
    return _state(event.data) if isinstance(event.data, CheckpointPublished) else state


def _state(event: CheckpointPublished) -> State:
    return {"origin": event.checkpoint.partition("\n")[0], "size": event.size, "checkpoint": event.checkpoint}
