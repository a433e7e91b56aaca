"""HTTP in: referrals. Made by a professional, answered by the organisation that helps; a program makes none."""

# No `from __future__ import annotations`: the routes of the actions are annotated with what stands in a closure.
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from hulpketen_contracts.values import Id, ServiceId
from pydantic import Field

from services.chassis.auth import Principal, requires
from services.chassis.incoming import Idempotency, RequestModel
from services.chassis.problems import FieldError, Problem
from services.matching.api import Matching, actor_of
from services.matching.domain import errors, referrals
from services.matching.domain.referrals import TRANSITIONS, Step, Transition, Wanted
from services.matching.views import ReferralDetail, ReferralView

Reader = Annotated[Principal, Depends(requires("referrals:read"))]
Author = Annotated[Principal, Depends(requires("referrals:write"))]
SCOPES = {"receiver": "referrals:answer", "author": "referrals:write"}


class NewReferral(RequestModel):
    """Which case to refer to which service, from a proposal or of one's own."""

    case: Id
    service: ServiceId


class Said(RequestModel):
    """What is due with an action: a code of the list in its description. Free text is not taken."""

    reason: str | None = Field(None, max_length=2_000, description="A code; free text could name a person.")
    outcome: str | None = Field(None, max_length=2_000, description="A code; free text could name a person.")


def routes(matching: Matching) -> APIRouter:
    """The routes of referrals; those of the actions are made of the table of transitions."""
    router = APIRouter(prefix="/v1/referrals", tags=["referrals"])

    @router.post("", status_code=201, summary="Refer", responses={409: {"description": "Closed, or referred already"}})
    async def make(author: Author, new: NewReferral, key: Idempotency, response: Response) -> ReferralView:
        aggregate = await _file(matching, new, author)
        wanted = Wanted(new.service, actor_of(author).writes_as, author.organisation)
        answer = await matching.execute(aggregate, lambda s, world: referrals.make(s, new.case, wanted, world), key)
        response.headers["Location"] = f"/v1/referrals/{answer['referral']}"
        return ReferralView.model_validate(answer)

    @router.get("/{referral}", summary="One referral, with what the caller may do now")
    async def read(reader: Reader, referral: Id) -> ReferralDetail:
        started = matching.looks.clock()
        found = await matching.store.file_of_referral(referral)
        file, one = referrals.referral_in(dict(found[1]) if found else None, referral, actor_of(reader))
        activity = "make-referrals" if _made_by(reader, one) else "answer-referrals"
        await matching.log("read-referral", activity, reader, [file], started)
        allowed = referrals.allowed(one, actor_of(reader))
        return ReferralDetail.model_validate({**_shown(reader, referrals.answer(file, one)), "allowed": allowed})

    for row in {t.action: t for t in TRANSITIONS if t.who in SCOPES}.values():
        _action(router, matching, row)
    return router


async def _file(matching: Matching, new: NewReferral, author: Principal) -> str:
    """The aggregate that holds the case. Raises Problem 404 that names all of the body that is not there."""
    if new.service not in matching.directory.current.services:
        await matching.directory.refresh()
    try:
        aggregate, _ = await matching.case(new.case, author)
    except errors.NotFound as error:
        wrong = [FieldError("/case", "unknown", str(error))]
        if new.service not in matching.directory.current.services:
            wrong.append(FieldError("/service", "unknown", str(errors.ServiceUnknown())))
        raise Problem(404, str(error), type="not-found", errors=wrong) from error
    return aggregate


def _action(router: APIRouter, matching: Matching, row: Transition) -> None:
    """The route of one action."""
    due = f"Due: {row.due.field}, one of {', '.join(row.due.codes)}." if row.due else "Nothing is due."

    @router.post(
        f"/{{referral}}/{row.action}",
        summary=f"By the {row.who}: {row.action}",
        description=due,
        operation_id=f"{row.action}_referral",
        responses={409: {"description": "Not in this status; `allowed` says what the caller may do"}},
    )
    async def act(
        actor: Annotated[Principal, Depends(requires(SCOPES[row.who]))],
        referral: Id,
        key: Idempotency,
        said: Said | None = None,
    ) -> ReferralView:
        found = await matching.store.file_of_referral(referral)
        if found is None:
            raise errors.NotFound
        reason, outcome = (said.reason, said.outcome) if said else (None, None)
        step = Step(referral, row.action, actor_of(actor), reason, outcome)
        answer = await matching.execute(found[0], lambda s, world: referrals.act(s, step, world), key)
        return ReferralView.model_validate(_shown(actor, answer))


def _made_by(principal: Principal, referral: Mapping[str, Any]) -> bool:
    return bool(referral["from_organisation"] == principal.organisation)


def _shown(principal: Principal, answer: Mapping[str, Any]) -> dict[str, Any]:
    """A referral as this party may see it: the case is for who made it."""
    return {**answer, "case": answer["case"] if _made_by(principal, answer) else None}
