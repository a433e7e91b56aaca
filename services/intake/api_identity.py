"""HTTP in: signals of which only a human can say whom they are about."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from services.chassis.incoming import Idempotency
from services.chassis.pipeline.model import Command
from services.chassis.problems import FieldError, Problem
from services.intake.api_persons import Name, Persons, Writer
from services.intake.bodies import body, described
from services.intake.domain.checks import Body
from services.intake.domain.client import identifiers
from services.intake.domain.looks import view
from services.intake.domain.signal import CONFLICT, NotPossible, settle
from services.intake.store import Document

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
Choice = Literal["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "neither"]


class DecisionIn(Body):
    """Whom the signal is about: one of the candidates in their order, or neither of them."""

    person: Choice


def routes(persons: Persons) -> APIRouter:
    """The routes under /v1/identity-conflicts."""
    router = APIRouter(tags=["persons"])

    @router.get("/v1/identity-conflicts")
    async def get_conflicts(
        principal: Writer, after: Annotated[str, Query(pattern=r"^[0-9a-f-]{0,36}$")] = ""
    ) -> dict[str, Any]:
        """Signals that wait for a professional to say whom they are about, with the candidates; 20 at most."""
        reader = await persons.reader(principal)
        if reader.kind != "municipality":
            return {"items": []}
        items: list[dict[str, Any]] = []
        subjects: list[str] = []
        for state in await persons.store.conflicts(reader.municipalities, after):
            items.append(await _compared(persons, state))
            subjects += [state["person"], *state["candidates"]]
        if items:
            await persons.looks.record("compare-persons", principal, list(dict.fromkeys(subjects)))
        return {"items": items}

    @router.post("/v1/identity-conflicts/{name}/decision", openapi_extra=described(DecisionIn))
    async def post_decision(
        principal: Writer, name: Name, given: Annotated[DecisionIn, Depends(body(DecisionIn))], key: Idempotency
    ) -> dict[str, Any]:
        """Say whom a signal is about. It is published for that person, and its details lead there from now on."""
        reader = await persons.reader(principal)
        state = await persons.store.state(f"signal-{name}")
        mine = reader.kind == "municipality" and state and state["municipality"] in reader.municipalities
        if not mine or not state or "candidates" not in state:
            raise Problem(404)
        await _settle(persons, name, state, given.person, key)
        return {"signal": name, "person": given.person}

    return router


async def _compared(persons: Persons, state: Document) -> dict[str, Any]:
    async def seen(pseudonym: str) -> dict[str, Any]:
        person = await persons.vault.open(pseudonym)
        return view("municipality", person.values, ()) if person else {}

    candidates = [
        {"person": ordinal} | await seen(each) for ordinal, each in zip(ORDINALS, state["candidates"], strict=False)
    ]
    return {
        "signal": state["signal"],
        "municipality": state["municipality"],
        "partnerType": state["partnerType"],
        "receivedAt": state["receivedAt"],
        "record": await seen(state["person"]),
        "candidates": candidates,
    }


async def _settle(persons: Persons, name: str, state: Document, choice: Choice, key: Idempotency) -> None:
    """First the vault, then the decision, then what was kept apart goes: again after a crash does the rest."""
    if choice != "neither" and ORDINALS.index(choice) >= len(state["candidates"]):
        error = FieldError("/person", "no-candidate", "There are not so many candidates")
        raise Problem(400, type="invalid", errors=[error])
    if state["status"] == CONFLICT:
        apart = state["person"]
        person = apart if choice == "neither" else state["candidates"][ORDINALS.index(choice)]
        record = await persons.vault.open(apart)
        if record is None:
            raise Problem(404)
        await persons.vault.lead(state["municipality"], identifiers(record.values["identity"]), person)
        opened = record
        if person != apart:
            opened = await persons.vault.add(state["municipality"], person, record.values)
        kind = f"reference/{name}"
        sealed = opened.seal(kind, record.open(kind, state["sealed"]))
        await _decide(persons, name, Command(f"signal-{name}", settle(person, choice, sealed), key=key))
    else:
        await _decide(persons, name, Command(f"signal-{name}", settle(state["person"], choice, b""), key=key))
    after = await persons.store.state(f"signal-{name}")
    if after and after["apart"] != after["person"]:
        await persons.vault.drop(after["apart"])


async def _decide(persons: Persons, name: str, command: Command) -> None:
    try:
        await persons.engine.execute(command)
    except NotPossible as error:
        raise Problem(409, "This was decided before, in another way.", type="decided") from error
