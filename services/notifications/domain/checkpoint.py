"""How far the audit's trail is signed: a line for every organisation, whatever it may see of cases and referrals."""

from __future__ import annotations

from hulpketen_contracts import CheckpointPublished, PartnerCheckpointPublished

from services.chassis.pipeline.model import Decision, Emit

SHARED = PartnerCheckpointPublished.TYPE
"""The one type of line that goes to all feeds, and that is no look at personal data."""


def told(event: CheckpointPublished) -> Decision:
    """One line, which the way out puts into every feed: written out here, hundreds would stand in one document."""
    line = PartnerCheckpointPublished(**event.model_dump())
    return Decision({"size": event.size}, [Emit(line, topic="partners.everybody")])
