"""What matching answers: the shapes of its JSON. None holds a pseudonym."""

from __future__ import annotations

from datetime import date, datetime

from hulpketen_contracts import EligibilityRule, OrganisationChanged, ServiceChanged
from hulpketen_contracts.values import (
    Capacity,
    CaseKind,
    CaseResult,
    CaseStatus,
    DecidedBy,
    Exit,
    OrganisationKind,
    PartnerType,
    ReferralStatus,
    ServiceStatus,
    SubjectKind,
)
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class View(BaseModel):
    """Base of answers: camelCase names."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Page(View):
    """Where a list is, and how many there are in all."""

    page: int
    per_page: int
    total: int


class FlagView(View):
    """Something that a human must look at."""

    code: str
    service: str | None = None


class CaseSummary(View):
    """A case in a list. `signals`: how many; `exit`: of the test, where the resident took it."""

    case: str
    municipality: str
    subject_kind: SubjectKind
    status: CaseStatus
    version: int
    kind: CaseKind
    crisis: bool
    repeated: bool
    signals: int
    partner_types: list[PartnerType]
    exit: Exit | None
    flags: list[FlagView]
    result: CaseResult | None
    opened_at: datetime
    closed_at: datetime | None


class CasePage(Page):
    """Cases: the last one of each person."""

    items: list[CaseSummary]


class SignalView(View):
    """A signal in a case; amount in whole euros."""

    signal: str
    sender: str
    partner_type: PartnerType
    amount: int | None
    signalled_on: date
    crisis: bool
    repeated: bool


class ReferralView(View):
    """A referral. `case`: to who made it; by it, receivers could tell which of their referrals are of one person."""

    referral: str
    case: str | None
    municipality: str
    service: str
    from_organisation: str
    to_organisation: str
    status: ReferralStatus
    version: int
    decided_by: DecidedBy | None
    reason: str | None
    outcome: str | None
    changed_at: datetime


class AllowedView(View):
    """What the caller may do with a referral now, and which of `codes` is due in which field."""

    action: str
    due: str | None
    codes: list[str]


class ReferralDetail(ReferralView):
    """A referral, with what the caller may do."""

    allowed: list[AllowedView]


class CaseDetail(CaseSummary):
    """A case, with its last 100 signals, its referrals, and the person's other cases, the earliest first."""

    received: list[SignalView]
    referrals: list[ReferralView]
    other_cases: list[str]


class RuleView(View):
    """What a rule said, and what that means. `met` null: it cannot be known from here."""

    rule: str
    met: bool | None
    detail: str
    nl: str
    en: str


class ProposalView(View):
    """A service that may fit."""

    service: str
    name: str
    organisation: str
    rules: list[RuleView]


class ProposalsView(View):
    """What the rules propose now, the best first; a person decides. Nobody is referred by it."""

    case: str
    proposals: list[ProposalView]


class ServiceView(View):
    """A service of the directory, in the words of Open Referral HSDS 3.0."""

    id: str
    organisation: str
    name: str
    description: str | None
    status: ServiceStatus
    municipalities: list[str]
    kind: str
    exits: list[Exit]
    minimum_age: int | None
    maximum_age: int | None
    eligibility: list[EligibilityRule]
    capacity: Capacity | None
    url: str | None

    @classmethod
    def of(cls, entry: ServiceChanged) -> ServiceView:
        """As the directory has it."""
        return cls(id=entry.service, **{name: getattr(entry, name) for name in cls.model_fields if name != "id"})


class OrganisationView(View):
    """An organisation of the directory."""

    id: str
    name: str
    kind: OrganisationKind
    municipalities: list[str]
    partner_types: list[PartnerType]
    kafka: bool

    @classmethod
    def of(cls, entry: OrganisationChanged) -> OrganisationView:
        """As the directory has it."""
        return cls(id=entry.organisation, **{name: getattr(entry, name) for name in cls.model_fields if name != "id"})


class ServicePage(Page):
    """Services, by name."""

    items: list[ServiceView]


class OrganisationPage(Page):
    """Organisations, by name."""

    items: list[OrganisationView]
