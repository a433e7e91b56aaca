"""A part of the trail, or all of it, against its signed checkpoint and those that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from hulpketen_contracts.trail.checkpoint import Checkpoint, open_checkpoint
from hulpketen_contracts.trail.cosignature import Cosigned, CosignerKey, cosignatures
from hulpketen_contracts.trail.errors import Malformed, NoSuchKey, UnknownKey
from hulpketen_contracts.trail.leaf import Leaf
from hulpketen_contracts.trail.note import VerifierKey
from hulpketen_contracts.trail.verify import Read, TreeCheck, check_goes_on


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys: those of the trail, and those of witnesses."""

    trail: Sequence[VerifierKey]
    witnesses: Sequence[CosignerKey] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a vkey a line; lines that are empty or begin with # are passed over. Raises Malformed."""
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        keys = [_key(number, line) for number, line in lines if not line.startswith("#")]
        witnesses = [key for key in keys if isinstance(key, CosignerKey)]
        return cls([key for key in keys if not isinstance(key, CosignerKey)], witnesses)

    def __str__(self) -> str:
        return "".join([f"{key}\n" for key in (*self.trail, *self.witnesses)])


def _key(number: int, line: str) -> VerifierKey:
    try:
        for kind in (VerifierKey, CosignerKey):
            with suppress(NoSuchKey):
                return kind.parse(line)
    except Malformed as error:
        raise Malformed(f"line {number} of the keys: {error}") from None
    form = "<name>+<id>+<base64 of 0x01 (a trail) or 0x04 (a witness), and of 32 bytes>"
    raise Malformed(f"line {number} of the keys is none: {form}")


@dataclass(frozen=True, slots=True)
class Extent:
    """Entries from number `first` to before `end`, and the period (ISO 8601) that was asked for, where one was."""

    first: int
    end: int
    since: str | None = None
    until: str | None = None

    def covers(self, leaf: Leaf) -> bool:
        """Whether an entry is of the period."""
        since, until = (datetime.fromisoformat(each) if each else None for each in (self.since, self.until))
        return (since is None or leaf.at >= since) and (until is None or leaf.at < until)


@dataclass(slots=True)
class Checked:
    """What was found to be right. `own_keys`: by the keys in the bundle itself, which says nothing of who made it.

    `goes_on_from`: sizes of earlier checkpoints whose trees this one continues. Not compared with it were those that
    one kept of the sizes in `older_than`, which are over more entries, and in `without_tiles`, whose tiles are missing.
    """

    checkpoint: Checkpoint
    extent: Extent
    keys: Keys
    own_keys: bool
    goes_on_from: list[int] = field(default_factory=list)
    older_than: list[int] = field(default_factory=list)
    without_tiles: list[int] = field(default_factory=list)
    cosigned: list[Cosigned] = field(default_factory=list)
    entries: int = 0
    in_period: int = 0


def check_part(raw: str, keys: Keys, read: Read, extent: Extent, earlier: Sequence[str]) -> Checked:
    """Check the tiles of a signed checkpoint, these entries, and that it goes on from earlier signed checkpoints.

    Raises TrailError: HistoryRewritten is the alarm; what `read` raises.
    """
    checkpoint = open_checkpoint(raw, keys.trail)
    checked = Checked(checkpoint, extent, keys, own_keys=False)
    if not 0 <= extent.first <= extent.end <= checkpoint.size:
        raise Malformed(
            f"a tree of {checkpoint.size} entries does not have all of number {extent.first} to before {extent.end}"
        )
    with suppress(UnknownKey):
        checked.cosigned = cosignatures(raw, keys.witnesses)
    for each in earlier:
        checked.goes_on_from.append(check_goes_on(each, raw, keys.trail, read))

    def seen(first: int, leaves: Sequence[Leaf]) -> None:
        mine = leaves[max(0, extent.first - first) : extent.end - first]
        checked.entries += len(mine)
        checked.in_period += sum(extent.covers(leaf) for leaf in mine)

    TreeCheck(checkpoint, read, seen).run(extent.first, extent.end)
    return checked
