"""HTTP in: a resident's own view of what was done with their data, and the code that lets them in.

The page works without JavaScript. Nothing about anybody is in its address; who of the staff looked is not on it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Query, Request
from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.audit.domain.register import Language
from services.audit.doors import who_may
from services.audit.residents import ACTIVITY, Doors, OwnData, TooManyTries
from services.chassis.auth import Principal
from services.chassis.incoming import RequestModel
from services.chassis.problems import Problem
from services.chassis.processing_log import Looks

MAX_PAGE = 1_000
_PAGES = files(__package__) / "pages"
_AMSTERDAM = ZoneInfo("Europe/Amsterdam")
_MONTHS: Mapping[Language, str] = {
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "en": "January February March April May June July August September October November December",
}

Professional = Annotated[Principal, Depends(who_may("resident's code"))]
Chosen = Annotated[Language, Query(alias="lang")]


class CodeIn(RequestModel):
    """For whom: the case of a resident."""

    case: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]


class CodeView(BaseModel):
    """A code to give to the resident, and nobody else. It works once."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    code: str
    expires_at: datetime
    page: str


def routes(doors: Doors, own: OwnData, looks: Looks, public_url: str) -> APIRouter:
    """The routes of residents, and of those who let them in. `public_url`: where residents find this service."""
    secure = public_url.startswith("https:")
    # Cookies of a host are shared by all its ports: without TLS the name tells this from a board.
    name = "__Host-resident" if secure else "resident"
    router = APIRouter(tags=["residents"])
    page = _Page(int(doors.session_for.total_seconds()) // 60)

    def with_cookie(response: Response, value: str, seconds: int) -> Response:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")
        return response

    @router.post("/v1/resident-codes", status_code=201, summary="A code with which a resident sees their own log")
    async def give(by: Professional, given: CodeIn) -> CodeView:
        started = looks.clock()
        person = await own.person_of(given.case, by.municipalities)
        await looks.record("give-resident-code", by, [person] if person else [], started=started)
        if person is None:
            raise Problem(404, "There is no such case in your municipality.")
        code, until = await doors.give(person)
        return CodeView(code=code, expires_at=until, page=f"{public_url}/my-data")

    @router.get("/my-data", include_in_schema=False)
    async def my_data(
        request: Request, lang: Chosen = "nl", number: Annotated[int, Query(alias="page", ge=1, le=MAX_PAGE)] = 1
    ) -> Response:
        person = await doors.who(request.cookies.get(name))
        persons = await own.everybody(person) if person else []
        if person is None or not persons:
            return page.sign_in(lang)
        found = await own.done(persons, number)
        await looks.record(ACTIVITY, None, [person])  # once, under whichever pseudonym
        return page.show(lang, done=found.done, number=number, further=found.further)

    @router.post("/my-data/sign-in", include_in_schema=False, dependencies=[Depends(_from_here)])
    async def sign_in(code: Annotated[str, Form(max_length=100)] = "", lang: Chosen = "nl") -> Response:
        try:
            cookie = await doors.enter(code)
        except TooManyTries:
            return page.sign_in(lang, "busy", 429)
        if cookie is None:
            return page.sign_in(lang, "wrong", 400)
        response = RedirectResponse(f"/my-data?lang={lang}", 303)
        return with_cookie(response, cookie, int(doors.session_for.total_seconds()))

    @router.post("/my-data/sign-out", include_in_schema=False, dependencies=[Depends(_from_here)])
    async def sign_out(request: Request, lang: Chosen = "nl") -> Response:
        await doors.leave(request.cookies.get(name))
        return with_cookie(RedirectResponse(f"/my-data?lang={lang}", 303), "", 0)

    router.get("/my-data/resident.css", include_in_schema=False)(_style())
    return router


class _Page:
    def __init__(self, minutes: int) -> None:
        self._minutes = minutes
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        self._template = environment.from_string((_PAGES / "resident.html").read_text("utf-8"))

    def sign_in(self, lang: Language, error: str = "", status: int = 200) -> HTMLResponse:
        return self._of(lang, status, error=error, done=None, number=1, further=False)

    def show(self, lang: Language, **what: Any) -> HTMLResponse:
        return self._of(lang, 200, error="", **what)

    def _of(self, lang: Language, status: int, **what: Any) -> HTMLResponse:
        def when(at: datetime) -> str:
            here = at.astimezone(_AMSTERDAM)
            return f"{here.day} {_MONTHS[lang].split()[here.month - 1]} {here:%Y, %H:%M}"

        return HTMLResponse(self._template.render(lang=lang, when=when, minutes=self._minutes, **what), status)


def _from_here(request: Request) -> None:
    """A browser says so where another site sends the form."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "The form was sent from another site.", type="csrf")


def _style() -> Callable[[], Awaitable[Response]]:
    content = (_PAGES / "resident.css").read_bytes()

    async def style() -> Response:
        return Response(content, media_type="text/css", headers={"Cache-Control": "no-cache"})

    return style
