"""HTTP in: who live together, as a professional has seen."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from services.chassis.auth import Principal
from services.chassis.incoming import Idempotency
from services.chassis.pipeline.model import Command
from services.chassis.problems import FieldError, Problem
from services.intake.api_persons import Name, Persons, Reader, Writer
from services.intake.bodies import body, described
from services.intake.domain import households
from services.intake.domain.checks import Body, Municipality

CaseId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]


class Member(Body):
    """A person of a household, by a case of that person."""

    case: CaseId
    relation: households.Relation


class HouseholdIn(Body):
    """Persons who live together, as a professional has seen."""

    municipality: Municipality
    members: Annotated[list[Member], Field(min_length=2, max_length=20)]


def routes(persons: Persons) -> APIRouter:
    """The routes under /v1/households."""
    router = APIRouter(tags=["persons"])

    @router.post("/v1/households", status_code=201, openapi_extra=described(HouseholdIn))
    async def post_household(
        principal: Writer,
        given: Annotated[HouseholdIn, Depends(body(HouseholdIn))],
        key: Idempotency,
        response: Response,
    ) -> dict[str, Any]:
        """Link persons who live together, by their cases: a professional's decision, never an address's."""
        household = str(
            uuid.uuid5(uuid.NAMESPACE_URL, f"household/{key.organisation}/{key.key}") if key else uuid.uuid4()
        )
        members = await _members(persons, given, principal)
        await persons.looks.record("link-household", principal, [each["person"] for each in members])
        decide = households.link(household, given.municipality, members, principal.organisation)
        await persons.engine.execute(Command(f"household-{household}", decide, key=key))
        response.headers["Location"] = f"/v1/households/{household}"
        return {"household": household}

    @router.get("/v1/households/{name}")
    async def get_household(principal: Reader, name: Name) -> dict[str, Any]:
        """The cases of who live together: for professionals of the municipality."""
        reader = await persons.reader(principal)
        state = await persons.store.state(f"household-{name}")
        if state is None or reader.kind != "municipality" or state["municipality"] not in reader.municipalities:
            raise Problem(404)
        await persons.looks.record("link-household", principal, [m["person"] for m in state["members"]])
        shown = [{"case": member["case"], "relation": member["relation"]} for member in state["members"]]
        return {"household": name, "municipality": state["municipality"], "members": shown}

    return router


async def _members(persons: Persons, given: HouseholdIn, principal: Principal) -> list[dict[str, Any]]:
    """The members with their pseudonyms. Raises Problem 400 with what is wrong with each, 404 for another's case."""
    members: list[dict[str, Any]] = []
    errors: list[FieldError] = []
    for index, member in enumerate(given.members):
        file = await persons.own_file("cases", member.case, principal)
        entry = {"case": member.case, "relation": member.relation, "person": file["person"]}
        pointer = f"/members/{index}/case"
        if file["municipality"] != given.municipality:
            errors.append(FieldError(pointer, "other-municipality", "Is a case of another municipality"))
        if file["entries"][member.case]["subjectKind"] == "address":
            errors.append(FieldError(pointer, "address-alone", "Is about an address, and names no person"))
        if entry["person"] in [each["person"] for each in members]:
            errors.append(FieldError(pointer, "same-person", "Is about a person who is a member already"))
        members.append(entry)
    if errors:
        raise Problem(400, type="invalid", errors=errors)
    return members
