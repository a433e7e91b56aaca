"""HTTP in: who it is about. A look at a person is logged first; safe contact goes before everything."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from services.chassis.auth import Principal, requires
from services.chassis.incoming import Idempotency
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command
from services.chassis.problems import Problem
from services.chassis.processing_log import Looks
from services.intake.bodies import body, described
from services.intake.domain import files
from services.intake.domain.checks import Body
from services.intake.domain.client import SafeContact
from services.intake.domain.looks import CONTACT_FIELDS, ContactField, contact_details, view
from services.intake.store import Document, IntakeStore
from services.intake.vault import Opened, Vault

Reader = Annotated[Principal, Depends(requires("persons:read"))]
Writer = Annotated[Principal, Depends(requires("persons:write"))]
Name = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
Kind = Literal["referrals", "cases"]


class ReleaseIn(Body):
    """A professional's word that contact details may be seen, and why."""

    fields: tuple[ContactField, ...] = Field(CONTACT_FIELDS, min_length=1, max_length=3)
    reason: Literal["resident-agreed", "safety-checked", "legal-duty"]


class Persons:
    """What the routes have in common."""

    def __init__(self, store: IntakeStore, vault: Vault, engine: Engine, looks: Looks) -> None:
        self.store = store
        self.vault = vault
        self.engine = engine
        self.looks = looks

    async def reader(self, principal: Principal) -> files.Reader:
        """The organisation that asks; 404 where the directory does not know it."""
        organisation = await self.store.state(f"organisation-{principal.organisation}")
        if organisation is None:
            raise Problem(404)
        municipalities = principal.municipalities & frozenset(organisation["municipalities"])
        return files.Reader(principal.organisation, organisation["kind"], municipalities)

    async def file(self, kind: Kind, name: str, reader: files.Reader) -> Document:
        """The file of a referral or case that this reader may look into; 404 otherwise."""
        file = await self.store.file_of(name)
        if file is None or ("to" in file["entries"][name]) != (kind == "referrals"):
            raise Problem(404)
        if not files.may_look(file, name, reader):
            raise Problem(404)
        return file

    async def own_file(self, kind: Kind, name: str, principal: Principal) -> Document:
        """The same, for professionals of the municipality alone; 403 for others that may look."""
        reader = await self.reader(principal)
        file = await self.file(kind, name, reader)
        if not files.is_professional(file, reader):
            raise Problem(403, "A professional of the municipality decides this.", type="professional-only")
        return file

    async def person(self, file: Document) -> Opened:
        """The person of a file; 404 where there is nobody any more."""
        person = await self.vault.open(file["person"])
        if person is None:
            raise Problem(404)
        return person

    def rules(self, file: Document, person: Opened) -> str:
        """A keyed digest of the safe-contact rules and of the details that they withhold.

        A release holds for what it was given about: neither under another rule, nor for an address that came later.
        """
        about = [person.values.get("safe-contact", []), contact_details(person.values)]
        return self.vault.digest(file["municipality"], "rules", json.dumps(about, sort_keys=True))

    async def look(self, kind: Kind, name: str, principal: Principal) -> dict[str, Any]:
        """Who a referral or case is about, as this reader may see it."""
        reader = await self.reader(principal)
        file = await self.file(kind, name, reader)
        person = await self.person(file)
        seen = view(reader.kind, person.values, files.released(file, name, self.rules(file, person)))
        await self.looks.record("look-at-person", principal, [person.pseudonym])
        return seen

    async def release(
        self, kind: Kind, name: str, given: ReleaseIn, principal: Principal, key: Idempotency
    ) -> dict[str, Any]:
        """Let contact details of a person with a safe-contact rule be seen for this referral or case."""
        file = await self.own_file(kind, name, principal)
        person = await self.person(file)
        await self.looks.record("release-contact", principal, [person.pseudonym])
        decide = files.release(name, given.fields, given.reason, principal.organisation, self.rules(file, person))
        await self.engine.execute(Command(f"file-{file['person']}", decide, key=key))
        return {"released": sorted(given.fields)}


def routes(persons: Persons) -> APIRouter:
    """The routes to the person of a referral or case."""
    router = APIRouter(tags=["persons"])

    @router.get("/v1/referrals/{name}/person")
    async def get_referral_person(principal: Reader, name: Name) -> dict[str, Any]:
        """Who a referral is about, as far as the reader's role may see."""
        return await persons.look("referrals", name, principal)

    @router.get("/v1/cases/{name}/person")
    async def get_case_person(principal: Reader, name: Name) -> dict[str, Any]:
        """Who a case is about: for professionals of its municipality."""
        return await persons.look("cases", name, principal)

    @router.put("/v1/referrals/{name}/person/safe-contact", openapi_extra=described(SafeContact))
    async def put_safe_contact(
        principal: Writer, name: Name, given: Annotated[SafeContact, Depends(body(SafeContact))]
    ) -> dict[str, Any]:
        """Set how a person may be reached. Earlier releases do not hold under another rule."""
        file = await persons.own_file("referrals", name, principal)
        await persons.looks.record("keep-safe-contact", principal, [file["person"]])
        if not await persons.vault.replace(file["person"], "safe-contact", given.restrictions()):
            raise Problem(404)
        return {"restricted": bool(given.restrictions()), "rules": given.restrictions()}

    @router.post("/v1/referrals/{name}/person/release", openapi_extra=described(ReleaseIn))
    async def post_referral_release(
        principal: Writer, name: Name, given: Annotated[ReleaseIn, Depends(body(ReleaseIn))], key: Idempotency
    ) -> dict[str, Any]:
        """A professional lets the receiver of a referral see contact details in spite of a safe-contact rule."""
        return await persons.release("referrals", name, given, principal, key)

    @router.post("/v1/cases/{name}/person/release", openapi_extra=described(ReleaseIn))
    async def post_case_release(
        principal: Writer, name: Name, given: Annotated[ReleaseIn, Depends(body(ReleaseIn))], key: Idempotency
    ) -> dict[str, Any]:
        """A professional lets the municipality's staff see contact details in spite of a safe-contact rule."""
        return await persons.release("cases", name, given, principal, key)

    return router
