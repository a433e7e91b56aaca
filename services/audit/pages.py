"""The auditor's page: search of the trail, a file of what was found, and unusual access. Forms, and no script."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from hulpketen_contracts import CATALOGUE, TOPICS
from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import HTMLResponse, Response

from services.audit.api import Desk
from services.audit.api_access import look_through
from services.audit.domain.entry import BEGUN_AGAIN
from services.audit.domain.search import MAX_PAGE, Search
from services.audit.doors import who_may
from services.audit.looking import UnusualAccess
from services.audit.working_hours import ZONE
from services.chassis.problems import Problem
from services.chassis.sessions import Session, session_required

PAGES = files(__package__) / "pages"
PER_PAGE = 50
_DAYS = 7
_WRONG = (
    "Vul een periode in, en alleen letters, cijfers, punten en streepjes. / "
    "Give a period, and nothing but letters, digits, dots and dashes."
)
_MUCH = (
    "Dit is te veel om in één keer door te kijken: kies een kortere periode. / "
    "This is too much to look through at once: choose a shorter period."
)
_CONTENTS = {
    "kept": "bewaard / kept",
    "gone": "gewist / gone",
    "awaited": "komt nog / awaited",
    "unprovable": "niet te bewijzen / unprovable",
}
_TYPES = sorted([name for name, event in CATALOGUE.items() if "audit" in TOPICS[event.TOPIC].consumers] + [BEGUN_AGAIN])
_BACKWARDS = "De periode eindigt voor zij begint. / The period ends before it starts."


_MAY = who_may("auditor's page")


async def _auditor(request: Request, session: Annotated[Session, Depends(session_required)]) -> Session:
    await _MAY.check(request)
    return session


Signed = Annotated[Session, Depends(_auditor)]
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]


class Asked(BaseModel):
    """The form. Days are those of Amsterdam, the last one whole."""

    model_config = ConfigDict(hide_input_in_errors=True)

    since: Day = Field(alias="from")
    until: Day = Field(alias="to")
    organisation: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = ""
    activity: Annotated[str, Field(pattern=r"^[a-z0-9.-]{0,64}$")] = ""
    type: Annotated[str, Field(pattern=r"^[a-z0-9.-]{0,100}$")] = ""
    case: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1

    @property
    def period(self) -> tuple[datetime, datetime]:
        """From its first to its last moment. Raises Problem 400 where it ends before it starts."""
        if self.until < self.since:
            raise Problem(400, _BACKWARDS, type="invalid")
        end = datetime.combine(self.until + timedelta(days=1), time(), ZONE)
        return datetime.combine(self.since, time(), ZONE), end - timedelta(milliseconds=1)

    @property
    def search(self) -> Search:
        """What is asked of the trail."""
        narrowed = (self.type, self.case, self.activity, self.organisation)
        return Search(*self.period, *(each or None for each in narrowed))

    def export(self, form: str) -> str:
        """Where the same is a file."""
        since, until = self.period
        names = {"organisation": self.organisation, "activity": self.activity, "type": self.type, "case": self.case}
        chosen = {name: value for name, value in names.items() if value}
        between = {"from": since.isoformat(), "to": until.isoformat(timespec="milliseconds")}
        return f"/v1/entries/export?{urlencode({'format': form} | between | chosen)}"


def routes(desk: Desk, access: UnusualAccess) -> APIRouter:
    """The page at `/` and that of unusual access. Every route needs a session of somebody with `audit:read`."""
    router = APIRouter(include_in_schema=False)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string((PAGES / "audit.html").read_text("utf-8"))
    style = (PAGES / "audit.css").read_bytes()

    async def shown(request: Request, session: Session, view: str) -> Response:
        today = desk.looks.clock().astimezone(ZONE).date()
        given: dict[str, Any] = {"from": str(today - timedelta(days=_DAYS)), "to": str(today)}
        given |= dict(request.query_params)
        problem, asked, answer = "", None, None
        try:
            asked = Asked.model_validate(given)
            if "from" in request.query_params:
                answer = await found(session, view, asked)
        except ValidationError:
            problem = _WRONG
        except Problem as error:
            problem = _MUCH if error.type == "too-many" else error.detail
        content = template.render(
            view=view,
            given=given,
            asked=asked,
            answer=answer,
            problem=problem,
            types=_TYPES,
            contents=_CONTENTS,
            session=session,
            per_page=PER_PAGE,
            urlencode=urlencode,
        )
        return HTMLResponse(content, 400 if problem else 200)

    async def found(session: Session, view: str, asked: Asked) -> Any:
        if view == "unusual":
            return await look_through(desk, access, session.principal, *asked.period)
        return await desk.search(session.principal, asked.search, asked.page, PER_PAGE)

    @router.get("/")
    async def search(request: Request, session: Signed) -> Response:
        return await shown(request, session, "search")

    @router.get("/unusual-access")
    async def unusual(request: Request, session: Signed) -> Response:
        return await shown(request, session, "unusual")

    @router.get("/page/audit.css")
    async def css(_: Signed) -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": "no-cache"})

    return router
