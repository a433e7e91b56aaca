"""HTTP in: the trail, for auditors. A search is itself in the processing log, before its answer goes out.

Whoever may read the trail reads all of it, whatever the token's municipalities: docs/decisions/0016.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from hulpketen_contracts import AccessLogged
from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import StreamingResponse

from services.audit.contents import Contents
from services.audit.domain.entry import Document, said
from services.audit.domain.search import EARLIEST, LATEST, MAX_PAGE, MAX_PER_PAGE, Search
from services.audit.doors import who_may
from services.audit.export import MEDIA_TYPES, Format, rendered
from services.audit.store import MOST_COUNTED, TooMuch, TrailStore
from services.chassis.auth import Principal
from services.chassis.problems import FieldError, Problem
from services.chassis.processing_log import Looks

ACTIVITY = "search-audit-trail"

Auditor = Annotated[Principal, Depends(who_may("entries"))]
Period = tuple[datetime | None, datetime | None]


class EntryView(BaseModel):
    """An entry of the trail, as an auditor sees it: no pseudonym of a person, and nothing that opens the commitment.

    `employee`: who looked, where it is an entry of the access log and that is kept still; a pseudonym, another one at
    each service. `content`: whether what was committed to is kept; "gone": the person was erased, or who looked was
    kept long enough (`erased` says the same); "awaited": after a restore it has not come again yet; "unprovable": it
    came again, and its key was lost, so that nobody can show that it is what was committed to.
    """

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
    content: Literal["kept", "gone", "awaited", "unprovable"]
    employee: str | None = None


COLUMNS = [field.alias or name for name, field in EntryView.model_fields.items()]


class Page(BaseModel):
    """A page of a search. `total` counts all that fits; where `more` is true, more fit than were counted."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    items: list[EntryView]
    page: int
    per_page: int
    total: int
    more: bool


class Desk:
    """What an auditor works with. `most`: how many entries an export may have."""

    def __init__(self, store: TrailStore, contents: Contents, looks: Looks, most: int) -> None:
        self.store = store
        self.looks = looks
        self._contents = contents
        self._most = most

    async def log(self, auditor: Principal, name: str, started: datetime, persons: Sequence[str] = ()) -> None:
        """Have what the auditor does in both logs, before it is shown. Raises StoreUnavailable."""
        await self.looks.record(ACTIVITY, auditor, persons, name=name, started=started)

    async def views(self, entries: Sequence[Document]) -> list[EntryView]:
        """The entries as an auditor sees them."""
        accesses = [entry for entry in entries if entry["type"] == AccessLogged.TYPE]
        opened = zip(accesses, await self._contents.open(accesses), strict=True) if accesses else ()
        looks = {entry["_id"]: said(AccessLogged, content.data) for entry, content in opened if content}
        employees = {number: look.employee for number, look in looks.items() if look}
        return [_view(entry, employees.get(entry["_id"])) for entry in entries]

    async def search(self, auditor: Principal, asked: Search, page: int, per_page: int) -> Page:
        """A page of what is found, once the search is in both logs. Raises StoreUnavailable."""
        started = self.looks.clock()
        with bounded():
            entries, total = await self.store.search(asked, page, per_page)
        # Only a search for a case is about a person; a period is about the trail.
        await self.log(auditor, "search-audit-trail", started, _persons(entries) if asked.case else ())
        more = asked != Search() and total > MOST_COUNTED
        items = await self.views(entries)
        return Page(items=items, page=page, per_page=per_page, total=MOST_COUNTED if more else total, more=more)

    async def export(self, asked: Search) -> AsyncIterator[list[dict[str, Any]]]:
        """All that fits, as rows."""
        async for entries in self.store.all_of(asked):
            yield [view.model_dump(by_alias=True) for view in await self.views(entries)]

    async def check_size(self, asked: Search) -> None:
        """Raises Problem 400 where more fits than an export may have."""
        with bounded():
            fit = await self.store.count(asked, self._most + 1)
        if fit > self._most:
            detail = f"More than {self._most} entries fit: an export may have no more. Ask for a shorter period."
            raise Problem(400, detail, type="too-many", errors=[FieldError("/to", "too-many", detail, "query")])


@contextmanager
def bounded(pointer: str = "/to", place: str = "query") -> Iterator[None]:
    """Raises Problem 400, at the field that ends the period, where a question reads more of the trail than one may."""
    try:
        yield
    except TooMuch as error:
        detail = "Too much of the trail has to be read for this: ask for a shorter period, or for a type or a case."
        raise Problem(400, detail, type="too-many", errors=[FieldError(pointer, "too-much", detail, place)]) from error


def routes(desk: Desk) -> APIRouter:
    """The routes of the trail's entries."""
    router = APIRouter(prefix="/v1/entries", tags=["trail"])
    store, looks = desk.store, desk.looks

    @router.get("", summary="Search the trail", responses={400: {"description": "The period ends before it starts"}})
    async def search(
        auditor: Auditor, asked: Annotated[Search, Depends(_asked)], at: Annotated[_Place, Depends()]
    ) -> Page:
        return await desk.search(auditor, asked, at.page, at.per_page)

    @router.get("/export", summary="What a search finds, as a file", response_class=StreamingResponse)
    async def export(
        auditor: Auditor,
        asked: Annotated[Search, Depends(_asked)],
        form: Annotated[Format, Query(alias="format", description="CSV for a spreadsheet, or JSON.")],
    ) -> StreamingResponse:
        started = looks.clock()
        await desk.check_size(asked)
        persons = await store.persons_of(asked.case) if asked.case else ()
        await desk.log(auditor, "export-audit-trail", started, persons)
        headers = {"Content-Disposition": f'attachment; filename="trail.{form}"'}
        file = rendered(form, COLUMNS, desk.export(asked))
        return StreamingResponse(file, media_type=MEDIA_TYPES[form], headers=headers)

    @router.get("/{index}", summary="One entry of the trail")
    async def entry(auditor: Auditor, index: Annotated[int, Path(ge=0, lt=2**53)]) -> EntryView:
        started = looks.clock()
        found = await store.entry(index)
        await desk.log(auditor, "read-audit-entry", started, _persons([found] if found else ()))
        if found is None:
            raise Problem(404, "The trail has no entry with this number.")
        return (await desk.views([found]))[0]

    return router


def _persons(entries: Sequence[Document]) -> list[str]:
    return sorted({e["about"]["person"] for e in entries if e.get("about", {}).get("person")})


class _Place:
    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
        per_page: Annotated[int, Query(alias="perPage", ge=1, le=MAX_PER_PAGE)] = 50,
    ) -> None:
        self.page = page
        self.per_page = per_page


def _nothing_unknown(request: Request) -> None:
    """Where a misspelt filter were passed over, more would be answered than was asked for. Raises Problem 400."""
    operation = request.app.openapi()["paths"][request.scope["route"].path]["get"]
    known = [each["name"] for each in operation["parameters"] if each["in"] == "query"]
    if not set(known).issuperset(request.query_params):
        detail = f"What can be asked for here is {', '.join(known)}."
        raise Problem(400, detail, type="invalid", errors=[FieldError("", "extra-forbidden", detail, "query")])


def period(
    _: Annotated[None, Depends(_nothing_unknown)],
    since: Annotated[AwareDatetime | None, Query(alias="from", ge=EARLIEST, le=LATEST)] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", ge=EARLIEST, le=LATEST)] = None,
) -> Period:
    """The period that is asked for. Raises Problem 400 where it ends before it starts."""
    if Search(since, until).backwards:
        wrong = FieldError("/to", "ends-before-it-starts", "The period ends before it starts.", "query")
        raise Problem(400, "The period ends before it starts.", type="invalid", errors=[wrong])
    return since, until


def _asked(
    between: Annotated[Period, Depends(period)],
    event_type: Annotated[str | None, Query(alias="type", pattern=r"^[a-z0-9.-]{1,100}$")] = None,
    case: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9-]{1,64}$")] = None,
    activity: Annotated[str | None, Query(pattern=r"^[a-z0-9.-]{1,64}$")] = None,
    organisation: Annotated[str | None, Query(pattern=r"^[a-z0-9-]{1,40}$")] = None,
) -> Search:
    asked = Search(*between, event_type, case, activity, organisation)
    if asked.needs_a_period:
        require_both(between, "For an activity or an organisation name a period, with both ends, or a type.")
    return asked


def require_both(between: Period, detail: str) -> tuple[datetime, datetime]:
    """Both ends of the period. Raises Problem 400 that names each that is missing."""
    since, until = between
    missing = [name for name, end in (("from", since), ("to", until)) if end is None]
    if since is None or until is None:
        raise Problem(
            400, detail, type="invalid", errors=[FieldError(f"/{n}", "missing", detail, "query") for n in missing]
        )
    return since, until


def _content(about: Document | None) -> Literal["kept", "gone", "awaited", "unprovable"]:
    if about is None:
        return "gone"
    return "awaited" if about.get("awaited") else "unprovable" if about.get("unprovable") else "kept"


def _view(entry: Document, employee: str | None) -> EntryView:
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
        content=_content(about),
        employee=employee,
    )
