"""The partner board: a page, what it needs to know, and its buttons, which act as the person who is signed in."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path
from jinja2 import Environment
from pydantic import Field
from starlette.responses import HTMLResponse, Response

from services.chassis.incoming import RequestModel
from services.chassis.problems import Problem
from services.chassis.sessions import Session, session_required
from services.notifications.domain.board import ACTIONS, CODES, CONTACT, RELEASE_REASONS
from services.notifications.domain.directory import Directory
from services.notifications.domain.texts import TEXTS
from services.notifications.readers import Readers
from services.notifications.upstream import Upstream

PAGES = files(__package__) / "pages"
MEDIA_TYPES = {"board.js": "text/javascript", "board.css": "text/css"}

Signed = Annotated[Session, Depends(session_required)]
Name = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Action = Literal["accept", "decline", "waitlist", "start", "end", "cancel"]


class ActionIn(RequestModel):
    """Why, or with what outcome, where the action asks for it."""

    reason: Code | None = None
    outcome: Code | None = None


class ReferralIn(RequestModel):
    """A referral to be made: a service for a case."""

    case: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    service: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class ReleaseIn(RequestModel):
    """Which contact details may be seen, and why."""

    fields: Annotated[list[Literal["address", "phone", "email"]], Field(min_length=1, max_length=3)]
    reason: Code


def routes(
    directory: Directory, readers: Readers, matching: Upstream, intake: Upstream, audit: Upstream | None
) -> APIRouter:
    """The page at `/`, and all below `/board`. Every route needs a session, and every POST its CSRF token.

    Without `audit` the board gives residents no codes.
    """
    router = APIRouter(include_in_schema=False)
    page = Environment(autoescape=True).from_string((PAGES / "board.html").read_text("utf-8"))
    assets = {name: (PAGES / name).read_bytes() for name in MEDIA_TYPES}

    @router.get("/")
    async def board(session: Signed) -> HTMLResponse:
        known = directory.organisations.get(session.principal.organisation)
        name = known.name if known else session.principal.organisation
        return HTMLResponse(page.render(t=TEXTS, organisation=name, csrf=session.csrf))

    @router.get("/board/assets/{name}")
    async def asset(_: Signed, name: str) -> Response:
        if name not in assets:
            raise Problem(404)
        return Response(assets[name], media_type=MEDIA_TYPES[name], headers={"Cache-Control": "no-cache"})

    @router.get("/board/me")
    async def me(session: Signed) -> dict[str, Any]:
        scopes = session.principal.scopes
        reader = await readers.of(session.principal)
        return {
            "organisation": reader.organisation,
            "cases": reader.whole_file and "cases:read" in scopes,
            "scopes": sorted(scopes),
            "actions": ACTIONS,
            "codes": CODES,
            "release": _release(scopes) if reader.whole_file else None,
            "residentCodes": audit is not None and reader.whole_file and "persons:write" in scopes,
            "texts": TEXTS,
            "names": directory.names(),
        }

    @router.post("/board/referrals", status_code=201)
    async def refer(session: Signed, given: ReferralIn, key: Key) -> Any:
        return await matching.call("POST", "/v1/referrals", session.access_token, given.model_dump(), key)

    @router.post("/board/referrals/{name}/{action}")
    async def act(session: Signed, name: Name, action: Action, given: ActionIn, key: Key) -> Any:
        body = given.model_dump(exclude_none=True) or None
        return await matching.call("POST", f"/v1/referrals/{name}/{action}", session.access_token, body, key)

    @router.get("/board/{kind}/{name}/person")
    async def person(session: Signed, kind: Literal["referrals", "cases"], name: Name) -> Any:
        return await intake.call("GET", f"/v1/{kind}/{name}/person", session.access_token)

    @router.post("/board/{kind}/{name}/person/release")
    async def release(
        session: Signed, kind: Literal["referrals", "cases"], name: Name, given: ReleaseIn, key: Key
    ) -> Any:
        path = f"/v1/{kind}/{name}/person/release"
        return await intake.call("POST", path, session.access_token, given.model_dump(), key)

    if audit:
        _resident_codes(router, audit)
    return router


def _resident_codes(router: APIRouter, audit: Upstream) -> None:
    @router.post("/board/cases/{name}/resident-code", status_code=201)
    async def resident_code(session: Signed, name: Name) -> Any:
        return await audit.call("POST", "/v1/resident-codes", session.access_token, {"case": name})


def _release(scopes: Collection[str]) -> dict[str, Any] | None:
    """What a professional of the municipality may release, and with which reasons."""
    return {"fields": CONTACT, "reasons": RELEASE_REASONS} if "persons:write" in scopes else None
