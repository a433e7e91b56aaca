"""HTTP in: what all routes of matching share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from services.chassis.auth import Principal
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command, Context, Decision, IdempotencyKey, State
from services.chassis.problems import FieldError, Problem
from services.chassis.processing_log import Looks
from services.matching.domain import errors
from services.matching.domain.cases import World
from services.matching.domain.file import File
from services.matching.domain.policy import Policy
from services.matching.domain.referrals import Actor
from services.matching.snapshot import Snapshot
from services.matching.store import MatchingStore

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Matching:
    """What the routes work with."""

    engine: Engine
    store: MatchingStore
    directory: Snapshot
    policy: Policy
    looks: Looks

    async def execute(
        self,
        aggregate: str,
        decide: Callable[[State | None, World], Decision | None],
        key: IdempotencyKey | None,
    ) -> Any:
        """Have it decided with the directory and settings of now; the answer. Raises what `decide` raises."""

        def decided(state: State | None, context: Context) -> Decision | None:
            return decide(state, World(context, self.directory.current, self.policy))

        return await self.engine.execute(Command(aggregate, decided, key=key))

    async def case(self, case: str, principal: Principal) -> tuple[str, File]:
        """The aggregate and file of a case in a municipality of the caller. Raises NotFound."""
        found = await self.store.file_of_case(case)
        if found is None or found[1]["municipality"] not in principal.municipalities:
            raise errors.NotFound
        return found

    async def log(self, name: str, activity: str, principal: Principal, files: Sequence[File], at: datetime) -> None:
        """Have a look at these persons' data in the processing log, before it is shown."""
        persons = [file["person"] for file in files]
        await self.looks.record(activity, principal, persons, name=name, started=at)


def actor_of(principal: Principal) -> Actor:
    """Who acts on a referral."""
    scopes = principal.scopes
    return Actor(
        principal.organisation,
        may_answer="referrals:answer" in scopes,
        may_write="referrals:write" in scopes,
        writes_as="coordinator" if "directory:write" in scopes else "professional",
    )


class Place:
    """Which page of a list."""

    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
        per_page: Annotated[int, Query(alias="perPage", ge=1, le=100)] = 50,
    ) -> None:
        self.page = page
        self.per_page = per_page


# Status and type of the problem of each error; those with a field of the request to point at are 400.
PROBLEMS: dict[type[errors.MatchingError], tuple[int, str]] = {
    errors.NotFound: (404, "not-found"),
    errors.CaseIsClosed: (409, "case-closed"),
    errors.ServiceUnknown: (400, "invalid"),
    errors.ServiceNotOffered: (409, "service-not-offered"),
    errors.AlreadyReferred: (409, "already-referred"),
    errors.NotAllowedNow: (409, "not-allowed-now"),
    errors.CodeRefused: (400, "invalid"),
    errors.NotYourMunicipality: (403, "municipality"),
    errors.OrganisationUnknown: (400, "invalid"),
    errors.ServiceNotFound: (404, "not-found"),
    errors.OrganisationReserved: (400, "invalid"),
}


# The field that an error points at: its place, its pointer, and the code.
FIELDS: dict[type[errors.MatchingError], tuple[str, str, str]] = {
    errors.ServiceUnknown: ("body", "/service", "unknown"),
    errors.OrganisationUnknown: ("body", "/organisation", "unknown"),
    errors.OrganisationReserved: ("path", "/organisation", "reserved"),
}


def problem_of(error: errors.MatchingError) -> Problem:
    """The answer to a decision that refused."""
    status, slug = PROBLEMS[type(error)]
    return Problem(status, str(error), type=slug, errors=_fields(error), extensions=_extensions(error))


def _fields(error: errors.MatchingError) -> list[FieldError]:
    if isinstance(error, errors.CodeRefused):
        return [FieldError(f"/{field}", "code", what) for field, what in error.wrong.items()]
    if type(error) not in FIELDS:
        return []
    place, pointer, code = FIELDS[type(error)]
    return [FieldError(pointer, code, str(error), place)]


def _extensions(error: errors.MatchingError) -> dict[str, Any]:
    match error:
        case errors.NotAllowedNow():
            return {"allowed": list(error.allowed)}
        case errors.AlreadyReferred():
            return {"referral": error.referral}
        case errors.CodeRefused():
            return {"allowed": list(error.codes)}
    return {}


async def refuse(_: Request, error: Exception) -> Response:
    """The exception handler of the application for errors of matching."""
    assert isinstance(error, errors.MatchingError)
    return problem_of(error).response()
