"""HTTP in: what an organisation may see of referrals and cases now. Each look is in the processing log first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from hulpketen_contracts import Proposal
from hulpketen_contracts.values import CaseStatus, ReferralStatus, Time
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.chassis.problems import Problem
from services.notifications.domain.visibility import PROPOSALS, REFERRAL, REFERRAL_AND_CASE, Fields
from services.notifications.looking import FeedLooks
from services.notifications.readers import Reader, Readers
from services.notifications.store import Asked, Found, NotificationsStore

MAX_PAGE, MAX_PER_PAGE = 100_000, 200
Last = Callable[[str], Awaitable[int]]
Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


class View(BaseModel):
    """Base of what is answered: camelCase, and what is not known is left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ReferralView(View):
    """A referral. `version` rises with each change; `case` is for the municipality alone."""

    referral: str
    municipality: str
    service: str
    from_organisation: str
    to_organisation: str
    status: ReferralStatus
    version: int
    reason: str | None = None
    outcome: str | None = None
    changed_at: Time
    case: str | None = None


class CaseView(View):
    """A case of the municipality, with what the rules proposed last. `flags`: why it waits for a human's look."""

    case: str
    municipality: str
    status: CaseStatus
    kind: str
    crisis: bool
    repeated: bool
    signals: int
    version: int
    result: str | None = None
    flags: list[str] = []
    proposals: list[Proposal] | None = None


class Page(View):
    """A page of a list. Read all pages, then follow `/v1/events` after `asOf` of the first: that misses nothing.

    There may be more when a page is full.
    """

    page: int
    per_page: int
    as_of: int


class ReferralPage(Page):
    """Referrals that the organisation made, received or oversees."""

    items: list[ReferralView]


class CasePage(Page):
    """Cases of the municipality."""

    items: list[CaseView]


class _Asked:
    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
        per_page: Annotated[int, Query(alias="perPage", ge=1, le=MAX_PER_PAGE)] = 50,
        sort: Annotated[
            Literal["fixed", "newest"],
            Query(description="fixed: pages miss nothing while referrals change; newest: last changed first."),
        ] = "fixed",
    ) -> None:
        self.page, self.per_page, self.newest = page, per_page, sort == "newest"


AskedPage = Annotated[_Asked, Depends()]


class Lists:
    """Reads lists and single views for a reader, and writes the looks down."""

    def __init__(self, store: NotificationsStore, last: Last, looks: FeedLooks) -> None:
        self._store, self._last, self._looks = store, last, looks

    async def page(self, kind: str, reader: Reader, asked: _Asked, status: str | None) -> dict[str, Any]:
        """A page. The feed's number is read before the views: what follows it is in neither too late nor missed."""
        started = self._looks.clock()
        as_of = await self._last(reader.feed)
        query = Asked(kind, reader.feed, reader.whole_file, status, asked.newest, asked.page, asked.per_page)
        found = await self._store.views(query)
        await self._look(f"list-{kind}", reader, started, found)
        items = [_shown(kind, reader, each.view) for each in found]
        return {"items": items, "page": asked.page, "per_page": asked.per_page, "as_of": as_of}

    async def one(self, kind: str, reader: Reader, name: str) -> dict[str, Any]:
        """One view. Raises Problem 404: another organisation's is no other than none."""
        started = self._looks.clock()
        found = await self._store.view(kind, name, reader.feed, whole_file=reader.whole_file)
        if found is None:
            raise Problem(404)
        await self._look(f"read-{kind}", reader, started, [found])
        return _shown(kind, reader, found.view)

    async def _look(self, name: str, reader: Reader, started: datetime, found: Sequence[Found]) -> None:
        await self._looks.shown(name, reader.by, sorted({each.person for each in found}), started)


def routes(lists: Lists, readers: Readers) -> APIRouter:
    """GET /v1/referrals and one of them; for municipalities GET /v1/cases and one of them."""
    router = APIRouter(prefix="/v1")
    referral_reader, case_reader = readers.requires("referrals:read"), readers.requires("cases:read")

    @router.get(
        "/referrals",
        tags=["referrals"],
        summary="Referrals of your organisation, to follow the feed from",
        response_model_exclude_none=True,
    )
    async def referrals(
        asked: AskedPage, reader: Reader = referral_reader, status: ReferralStatus | None = None
    ) -> ReferralPage:
        return ReferralPage.model_validate(await lists.page("referrals", reader, asked, status))

    @router.get(
        "/referrals/{referral_id}", tags=["referrals"], summary="One referral", response_model_exclude_none=True
    )
    async def referral(referral_id: Id, reader: Reader = referral_reader) -> ReferralView:
        return ReferralView.model_validate(await lists.one("referrals", reader, referral_id))

    @router.get(
        "/cases",
        tags=["cases"],
        summary="Cases of your municipality, to follow the feed from",
        response_model_exclude_none=True,
    )
    async def cases(asked: AskedPage, reader: Reader = case_reader, status: CaseStatus | None = None) -> CasePage:
        _of_a_municipality(reader)
        return CasePage.model_validate(await lists.page("cases", reader, asked, status))

    @router.get("/cases/{case_id}", tags=["cases"], summary="One case", response_model_exclude_none=True)
    async def case(case_id: Id, reader: Reader = case_reader) -> CaseView:
        _of_a_municipality(reader)
        return CaseView.model_validate(await lists.one("cases", reader, case_id))

    return router


def _of_a_municipality(reader: Reader) -> None:
    if not reader.whole_file:
        raise Problem(403, "Cases are for municipalities.", type="role")


def _shown(kind: str, reader: Reader, view: dict[str, Any]) -> dict[str, Any]:
    fields: Fields = PROPOSALS if kind == "cases" else REFERRAL_AND_CASE if reader.whole_file else REFERRAL
    return {name: value for name, value in view.items() if name in fields}
