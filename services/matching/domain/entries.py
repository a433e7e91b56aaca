"""Entries of the directory: services and organisations, each an aggregate of its own."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime

from hulpketen_contracts import OrganisationChanged, ServiceChanged

from services.chassis.pipeline.model import Context, Decision, Emit, State
from services.matching.domain.errors import NotYourMunicipality, OrganisationReserved

# So are the feeds of municipalities named, beside those of organisations.
_RESERVED = re.compile(r"municipality-[0-9]{4}")
Entry = ServiceChanged | OrganisationChanged


def entry_id(entry: Entry) -> str:
    """The aggregate, and stream, of an entry."""
    return f"service-{entry.service}" if isinstance(entry, ServiceChanged) else f"organisation-{entry.organisation}"


def put(state: State | None, entry: Entry, municipalities: Collection[str], context: Context) -> Decision | None:
    """The entry as it is from now on; nothing happens where it is that already.

    Raises NotYourMunicipality, OrganisationReserved.
    """
    if isinstance(entry, OrganisationChanged) and _RESERVED.fullmatch(entry.organisation):
        raise OrganisationReserved
    before = read(state) if state else None
    served = {*entry.municipalities, *(before.municipalities if before else ())}
    if not served <= set(municipalities):
        raise NotYourMunicipality
    if entry == before:
        return None
    key = entry.service if isinstance(entry, ServiceChanged) else entry.organisation
    return Decision(as_state(entry, context.now), [Emit(entry, subject=key)])


def as_state(entry: Entry, changed_at: datetime) -> State:
    """The state that holds this entry."""
    kind = "service" if isinstance(entry, ServiceChanged) else "organisation"
    return {"kind": kind, "entry": entry.model_dump(mode="json"), "changed_at": changed_at}


def read(state: State) -> Entry:
    """The entry in a state."""
    model = ServiceChanged if state["kind"] == "service" else OrganisationChanged
    return model.model_validate(state["entry"])
