"""Who live together: linked by a professional, never by an address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from services.chassis.pipeline.model import Context, Decide, Decision, State

Relation = Literal["head", "partner", "child", "parent", "other"]


def link(household: str, municipality: str, members: Sequence[Mapping[str, Any]], by: str) -> Decide:
    """Link these members: their cases, pseudonyms and relations."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state is not None:
            return None
        new = {
            "household": household,
            "municipality": municipality,
            "members": [dict(member) for member in members],
            "by": by,
            "at": context.now,
        }
        return Decision(new, answer={"household": household})

    return decide
