"""HTTP in: the trail, for auditors. A search is itself in the processing log, before its answer goes out.

Whoever may read the trail reads all of it, whatever the token's municipalities: docs/decisions/0016.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.audit.domain.entry import Document
from services.audit.domain.search import MAX_PAGE, MAX_PER_PAGE, Search
from services.audit.store import TrailStore
from services.chassis.auth import Principal, requires
from services.chassis.problems import FieldError, Problem
from services.chassis.processing_log import Looks

ACTIVITY = "search-audit-trail"

Auditor = Annotated[Principal, Depends(requires("audit:read"))]


class EntryView(BaseModel):
    """An entry of the trail, as an auditor sees it: no pseudonym, and nothing that opens the commitment."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    index: int
    at: str
    type: str
    source: str
    organisation: str | None
    activity: str | None
    event_id: str
    commitment: str
    case: str | None
    erased: bool


class Page(BaseModel):
    """A page of a search; `total` counts all that fits."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    items: list[EntryView]
    page: int
    per_page: int
    total: int


def routes(store: TrailStore, looks: Looks) -> APIRouter:
    """The routes of the audit."""
    router = APIRouter(prefix="/v1/entries", tags=["trail"])

    async def log(auditor: Principal, name: str, started: datetime, entries: Sequence[Document]) -> None:
        persons = sorted({e["about"]["person"] for e in entries if e.get("about", {}).get("person")})
        await looks.record(ACTIVITY, auditor, persons, name=name, started=started)

    @router.get("", summary="Search the trail", responses={400: {"description": "The period ends before it starts"}})
    async def search(
        auditor: Auditor, asked: Annotated[Search, Depends(_asked)], at: Annotated[_Place, Depends()]
    ) -> Page:
        started = looks.clock()
        entries, total = await store.search(asked, at.page, at.per_page)
        # Only a search for a case is about a person; a period is about the trail.
        await log(auditor, "search-audit-trail", started, entries if asked.case else ())
        return Page(items=[_view(entry) for entry in entries], page=at.page, per_page=at.per_page, total=total)

    @router.get("/{index}", summary="One entry of the trail")
    async def entry(auditor: Auditor, index: Annotated[int, Path(ge=0, lt=2**53)]) -> EntryView:
        started = looks.clock()
        found = await store.entry(index)
        await log(auditor, "read-audit-entry", started, [found] if found else ())
        if found is None:
            raise Problem(404, "The trail has no entry with this number.")
        return _view(found)

    return router


class _Place:
    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
        per_page: Annotated[int, Query(alias="perPage", ge=1, le=MAX_PER_PAGE)] = 50,
    ) -> None:
        self.page = page
        self.per_page = per_page


def _asked(
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    event_type: Annotated[str | None, Query(alias="type", pattern=r"^[a-z0-9.-]{1,100}$")] = None,
    case: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9-]{1,64}$")] = None,
) -> Search:
    asked = Search(since, until, event_type, case)
    if asked.backwards:
        wrong = FieldError("/to", "ends-before-it-starts", "The period ends before it starts.", "query")
        raise Problem(400, "The period ends before it starts.", type="invalid", errors=[wrong])
    return asked


def _view(entry: Document) -> EntryView:
    about = entry.get("about")
    return EntryView(
        index=entry["_id"],
        at=entry["at"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        type=entry["type"],
        source=entry["source"],
        organisation=entry["organisation"],
        activity=entry["activity"],
        event_id=entry["eventId"],
        commitment=entry["commitment"].hex(),
        case=about.get("case") if about else None,
        erased=about is None,
    )
