"""HTTP in: the choice of help that a resident makes after the financial test."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from services.chassis.auth import Principal, requires
from services.chassis.incoming import Idempotency
from services.chassis.problems import FieldError, Problem
from services.intake.bodies import body, described
from services.intake.choosing import Choices
from services.intake.domain.choice import ChoiceIn, CodeIn, NotNow, unreachable
from services.intake.messages import NotSent
from services.intake.store import Document, IntakeStore

Professional = Annotated[Principal, Depends(requires("choices:confirm"))]
TestId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
_NOT_NOW = {
    "already-confirmed": "The choice was confirmed before.",
    "no-code": "No code can be entered now: ask for a new one.",
    "no-choice": "There is no choice to confirm.",
}


def routes(store: IntakeStore, choices: Choices) -> APIRouter:
    """The routes under /v1/tests/{test}/choice."""
    router = APIRouter(tags=["tests"])

    @router.post("/v1/tests/{test}/choice", status_code=202, openapi_extra=described(ChoiceIn))
    async def post_choice(
        test: TestId, given: Annotated[ChoiceIn, Depends(body(ChoiceIn, unreachable))], key: Idempotency
    ) -> dict[str, str]:
        """Choose help. It counts once a code is entered that is sent to the contact, or a professional confirms."""
        state = await _test(store, test)
        offered = await store.services(state["municipality"], state["exit"])
        if given.service not in [service["service"] for service in offered]:
            raise Problem(409, "This help is not on offer after this test.", type="service-not-available")
        try:
            await choices.choose(state, given, key)
        except NotNow as error:
            raise _not_now(error) from error
        except NotSent as error:
            retry = {"Retry-After": "5"}
            raise Problem(503, "The code could not be sent; try again.", type="not-sent", headers=retry) from error
        return {"test": test, "status": "waiting"}

    @router.post("/v1/tests/{test}/choice/verify", openapi_extra=described(CodeIn))
    async def post_code(
        test: TestId, given: Annotated[CodeIn, Depends(body(CodeIn))], key: Idempotency
    ) -> dict[str, str]:
        """Enter the code that came by message."""
        try:
            right = await choices.verify(await _test(store, test), given.code, key)
        except NotNow as error:
            raise _not_now(error) from error
        if not right:
            wrong = FieldError("/code", "wrong-code", "Is not the code that was sent")
            raise Problem(400, type="wrong-code", errors=[wrong])
        return {"test": test, "status": "confirmed"}

    @router.post("/v1/tests/{test}/choice/confirm")
    async def post_confirmation(principal: Professional, test: TestId, key: Idempotency) -> dict[str, str]:
        """A professional of the municipality confirms a resident's choice."""
        state = await _test(store, test)
        if state["municipality"] not in principal.municipalities:
            raise Problem(404)
        try:
            await choices.confirm(state, principal, key)
        except NotNow as error:
            raise _not_now(error) from error
        return {"test": test, "status": "confirmed"}

    return router


async def _test(store: IntakeStore, test: str) -> Document:
    state = await store.state(f"test-{test}")
    if state is None:
        raise Problem(404)
    return state


def _not_now(error: NotNow) -> Problem:
    status = 404 if error.code == "no-choice" else 409
    return Problem(status, _NOT_NOW[error.code], type=error.code)
