"""HTTP in: the directory of help, searched in memory and changed by coordinators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query
from hulpketen_contracts import EligibilityRule, OrganisationChanged, ServiceChanged
from hulpketen_contracts.directory import Municipalities
from hulpketen_contracts.values import (
    Age,
    Capacity,
    Code,
    Exit,
    LongText,
    Municipality,
    OrganisationId,
    OrganisationKind,
    PartnerType,
    ServiceId,
    ServiceStatus,
    ShortText,
    Url,
)
from pydantic import Field, ValidationInfo, field_validator

from services.chassis.auth import Principal, requires
from services.chassis.incoming import RequestModel
from services.matching.api import Matching, Place
from services.matching.domain import entries, errors
from services.matching.snapshot import Snapshot
from services.matching.views import OrganisationPage, OrganisationView, ServicePage, ServiceView

Reader = Annotated[Principal, Depends(requires("directory:read"))]
Writer = Annotated[Principal, Depends(requires("directory:write"))]
Search = Annotated[str | None, Query(max_length=200, description="Part of a name or description.")]
Entry = TypeVar("Entry", ServiceChanged, OrganisationChanged)


class ServiceEntry(RequestModel):
    """A service, in the words of Open Referral HSDS 3.0."""

    organisation: OrganisationId
    name: ShortText
    description: LongText | None = None
    status: ServiceStatus
    municipalities: Annotated[Municipalities, Field(min_length=1)]
    kind: Code
    exits: list[Exit] = Field(default_factory=list, max_length=4)
    minimum_age: Age | None = None
    maximum_age: Age | None = None
    eligibility: list[EligibilityRule] = Field(default_factory=list, max_length=30)
    capacity: Capacity | None = None
    url: Url | None = None

    @field_validator("maximum_age")
    @classmethod
    def _ages_in_order(cls, value: int | None, info: ValidationInfo) -> int | None:
        lowest = info.data.get("minimum_age")
        if value is not None and lowest is not None and value < lowest:
            raise ValueError("Must not be below minimumAge")
        return value


class OrganisationEntry(RequestModel):
    """An organisation. `partnerTypes`: what it may signal; `kafka`: whether it gets a topic of its own."""

    name: ShortText
    kind: OrganisationKind
    municipalities: Annotated[Municipalities, Field(min_length=1)]
    partner_types: list[PartnerType] = Field(default_factory=list, max_length=20)
    kafka: bool = False


class ServiceFilter:
    """Which services; what is left out is not asked."""

    def __init__(
        self,
        search: Search = None,
        municipality: Municipality | None = None,
        exit: Exit | None = None,
        status: ServiceStatus | None = None,
    ) -> None:
        self._asked = search, municipality, exit, status

    def fits(self, service: ServiceChanged) -> bool:
        """Does it meet all that was asked?"""
        search, municipality, exit_, status = self._asked
        return (
            (not search or _has(search, service.name, service.description))
            and (not municipality or municipality in service.municipalities)
            and (not exit_ or exit_ in service.exits)
            and (not status or status == service.status)
        )


class OrganisationFilter:
    """Which organisations; what is left out is not asked."""

    def __init__(
        self,
        search: Search = None,
        municipality: Municipality | None = None,
        kind: OrganisationKind | None = None,
    ) -> None:
        self._asked = search, municipality, kind

    def fits(self, organisation: OrganisationChanged) -> bool:
        """Does it meet all that was asked?"""
        search, municipality, kind = self._asked
        return (
            (not search or _has(search, organisation.name))
            and (not municipality or municipality in organisation.municipalities)
            and (not kind or kind == organisation.kind)
        )


def routes(matching: Matching) -> APIRouter:
    """The routes of the directory."""
    router = APIRouter(prefix="/v1", tags=["directory"])
    _read(router, matching.directory)
    _write(router, matching)
    return router


def _read(router: APIRouter, directory: Snapshot) -> None:
    @router.get("/services", summary="Search the directory of help")
    async def services(
        _: Reader, wanted: Annotated[ServiceFilter, Depends()], at: Annotated[Place, Depends()]
    ) -> ServicePage:
        found = [each for each in directory.current.services.values() if wanted.fits(each)]
        items = [ServiceView.of(each) for each in _page(found, at)]
        return ServicePage(items=items, page=at.page, per_page=at.per_page, total=len(found))

    @router.get("/services/{service}", summary="One service")
    async def read_service(_: Reader, service: ServiceId) -> ServiceView:
        found = directory.current.services.get(service)
        if found is None:
            raise errors.ServiceNotFound
        return ServiceView.of(found)

    @router.get("/organisations", summary="Search the partners of the chain")
    async def organisations(
        _: Reader, wanted: Annotated[OrganisationFilter, Depends()], at: Annotated[Place, Depends()]
    ) -> OrganisationPage:
        found = [each for each in directory.current.organisations.values() if wanted.fits(each)]
        items = [OrganisationView.of(each) for each in _page(found, at)]
        return OrganisationPage(items=items, page=at.page, per_page=at.per_page, total=len(found))


def _write(router: APIRouter, matching: Matching) -> None:
    async def put(writer: Principal, entry: entries.Entry) -> None:
        await matching.execute(
            entries.entry_id(entry),
            lambda state, world: entries.put(state, entry, writer.municipalities, world.context),
            None,
        )
        await matching.directory.refresh()

    @router.put("/services/{service}", summary="Add or change a service")
    async def put_service(writer: Writer, service: ServiceId, body: ServiceEntry) -> ServiceView:
        if body.organisation not in matching.directory.current.organisations:
            await matching.directory.refresh()
        if body.organisation not in matching.directory.current.organisations:
            raise errors.OrganisationUnknown
        entry = ServiceChanged(service=service, **dict(body))
        await put(writer, entry)
        return ServiceView.of(entry)

    @router.put("/organisations/{organisation}", summary="Add or change an organisation")
    async def put_organisation(
        writer: Writer, organisation: OrganisationId, body: OrganisationEntry
    ) -> OrganisationView:
        entry = OrganisationChanged(organisation=organisation, **dict(body))
        await put(writer, entry)
        return OrganisationView.of(entry)


def _has(part: str, *texts: str | None) -> bool:
    return any(part.casefold() in text.casefold() for text in texts if text)


def _page(found: Iterable[Entry], at: Place) -> Sequence[Entry]:
    in_order = sorted(found, key=lambda each: (each.name.casefold(), each.name))
    return in_order[(at.page - 1) * at.per_page : at.page * at.per_page]
