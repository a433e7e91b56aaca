"""The directory of help (sociale kaart): reference data, of which the latest per key counts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hulpketen_contracts.event import Event, Part
from hulpketen_contracts.values import (
    Age,
    Capacity,
    Code,
    Day,
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

Municipalities = Annotated[list[Municipality], Field(max_length=400)]


class EligibilityRule(Part):
    """One condition: its code with a number (age, euros, per cent) or a list; from when to when, both included."""

    rule: Code
    value: Annotated[int, Field(ge=0, le=99_999_999)] | None = None
    values: Annotated[list[ShortText], Field(max_length=400)] = Field(default_factory=list)
    valid_from: Day | None = None
    valid_until: Day | None = None
    source: ShortText | None = None


class ServiceChanged(Event):
    """A kind of help as it is offered now (HSDS `service`)."""

    TYPE = "nl.hulpketen.services.changed.v1"
    TOPIC = "directory"
    KEY = "service"
    REFERENCE = True

    service: ServiceId
    organisation: OrganisationId
    name: ShortText
    description: LongText | None = None
    status: ServiceStatus
    municipalities: Municipalities
    kind: Code
    exits: Annotated[list[Exit], Field(max_length=4)] = Field(default_factory=list)
    minimum_age: Age | None = None
    maximum_age: Age | None = None
    eligibility: Annotated[list[EligibilityRule], Field(max_length=30)] = Field(default_factory=list)
    capacity: Capacity | None = None
    url: Url | None = None


class OrganisationChanged(Event):
    """A partner of the chain as it is now (HSDS `organization`). `partner_types`: what it may signal."""

    TYPE = "nl.hulpketen.organisations.changed.v1"
    TOPIC = "directory"
    KEY = "organisation"
    REFERENCE = True

    organisation: OrganisationId
    name: ShortText
    kind: OrganisationKind
    municipalities: Municipalities
    partner_types: Annotated[list[PartnerType], Field(max_length=20)] = Field(default_factory=list)
    kafka: bool = False
