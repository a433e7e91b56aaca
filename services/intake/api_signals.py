"""HTTP in: signals, one by one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from services.chassis.auth import Principal, requires
from services.chassis.incoming import Idempotency
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command
from services.chassis.problems import FieldError, Problem
from services.chassis.processing_log import Looks
from services.intake.bodies import body, described
from services.intake.domain.checks import Body
from services.intake.domain.signal import CONFLICT, RECEIVED, REFUSED, NotPossible, SignalIn, WithdrawReason, withdraw
from services.intake.even_time import EvenTime
from services.intake.store import IntakeStore
from services.intake.taking import Desk, explain
from services.intake.vault import Vault

Writer = Annotated[Principal, Depends(requires("signals:write"))]
Reader = Annotated[Principal, Depends(requires("signals:read"))]
SignalId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


class WithdrawIn(Body):
    """Why a sender takes a signal back."""

    reason: WithdrawReason


def routes(
    desk: Desk, engine: Engine, vault: Vault, store: IntakeStore, looks: Looks, even_time: EvenTime
) -> APIRouter:
    """The routes under /v1/signals."""
    router = APIRouter(tags=["signals"])

    @router.post("/v1/signals", status_code=202, openapi_extra=described(SignalIn))
    async def post_signal(
        principal: Writer, signal: Annotated[SignalIn, Depends(body(SignalIn))], response: Response
    ) -> dict[str, str]:
        """Send a signal. The same reference with the same content again is the same signal."""
        async with even_time.kept():
            sender = await desk.sender(principal)
            (taken,) = await desk.take(principal.organisation, sender, [signal])
        if taken.result == "refused":
            errors = [FieldError(*reason) for reason in explain(taken.reasons)]
            raise Problem(403, "This signal may not be sent.", type="signal-refused", errors=errors)
        if taken.result == "differs":
            raise Problem(
                409,
                "The reference was used for another content: a new signal needs a new one.",
                type="reference-reused",
            )
        response.headers["Location"] = f"/v1/signals/{taken.signal}"
        return {"signal": taken.signal}

    @router.get("/v1/signals/{signal}")
    async def get_signal(principal: Reader, signal: SignalId) -> dict[str, Any]:
        """What became of a signal: for its sender alone."""
        state = await _own(store, principal, signal)
        answer = _answer(state)
        person = await vault.open(state["person"]) if state["status"] != REFUSED else None
        if person:
            await looks.record("look-at-signal", principal, [person.pseudonym])
            if state["sealed"]:
                answer["reference"] = person.open(f"reference/{signal}", state["sealed"])
        return answer

    @router.post("/v1/signals/{signal}/withdraw", openapi_extra=described(WithdrawIn))
    async def withdraw_signal(
        principal: Writer, signal: SignalId, given: Annotated[WithdrawIn, Depends(body(WithdrawIn))], key: Idempotency
    ) -> dict[str, str]:
        """Take a signal back."""
        await _own(store, principal, signal)
        command = Command(f"signal-{signal}", withdraw(given.reason), cause=f"{signal}/withdrawn", key=key)
        try:
            await engine.execute(command)
        except NotPossible as error:
            raise Problem(409, "Only a signal that was taken can be withdrawn.", type="not-possible") from error
        return {"signal": signal, "status": "withdrawn"}

    return router


async def _own(store: IntakeStore, principal: Principal, signal: str) -> dict[str, Any]:
    state = await store.state(f"signal-{signal}")
    if state is None or state["sender"] != principal.organisation:
        raise Problem(404)
    return state


def _answer(state: dict[str, Any]) -> dict[str, Any]:
    answer = {"signal": state["signal"], "municipality": state["municipality"], "receivedAt": state["receivedAt"]}
    if state["status"] == REFUSED:
        return answer | {"status": REFUSED, "reasons": state["reasons"]}
    # Whether somebody still has to find out who it is about does not concern the sender.
    status = RECEIVED if state["status"] == CONFLICT else state["status"]
    return answer | {"status": status, "partnerType": state["partnerType"], "signalledOn": state["signalledOn"]}
