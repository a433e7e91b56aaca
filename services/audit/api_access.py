"""HTTP in: unusual access, for auditors. It is a proposal of rules: a person decides what it was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from hulpketen_contracts.values import Time
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.audit.api import Desk, Period, period, require_both
from services.audit.domain.unusual import RULES, Finding
from services.audit.doors import who_may
from services.audit.looking import TooManyLooks, UnusualAccess
from services.chassis.auth import Principal
from services.chassis.problems import FieldError, Problem

Overseer = Annotated[Principal, Depends(who_may("unusual access"))]


class View(BaseModel):
    """Base of what is answered: camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Text(View):
    """The same in Dutch and English."""

    nl: str
    en: str


class RuleView(View):
    """A rule, and what it looks for."""

    rule: str
    about: Text


class FindingView(View):
    """What a rule found, and why. `employee`: a pseudonym of that `service`, where it is about one.

    `entries`: numbers of the first looks in the trail. Whom was looked at is nowhere in it.
    """

    rule: str
    organisation: str
    service: str | None
    employee: str | None
    counts: Mapping[str, int]
    why: Text
    entries: list[int]


class UnusualView(View):
    """All that the rules find in a period. `looks`: how many looks they went through; `forgotten`: of how many more it
    is no longer kept who looked (AUDIT_ACCESS_DAYS), or cannot be read."""

    since: Time
    until: Time
    looks: int
    forgotten: int
    rules: list[RuleView]
    findings: list[FindingView]


def routes(desk: Desk, access: UnusualAccess) -> APIRouter:
    """GET /v1/unusual-access."""
    router = APIRouter(prefix="/v1/unusual-access", tags=["access"])

    @router.get("", summary="Looks at personal data that are unusual by the rules; a person decides")
    async def unusual(auditor: Overseer, between: Annotated[Period, Depends(period)]) -> UnusualView:
        return await look_through(desk, access, auditor, *require_both(between, "Name a period, with both ends."))

    return router


async def look_through(
    desk: Desk, access: UnusualAccess, auditor: Principal, since: datetime, until: datetime
) -> UnusualView:
    """What is unusual in a period, once the question is in both logs. Raises Problem 400, StoreUnavailable."""
    started = desk.looks.clock()
    try:
        found = await access.find(since, until)
    except TooManyLooks:
        detail = "There were more looks in this period than are gone through at once. Ask for a shorter one."
        wrong = FieldError("/to", "too-many", detail, "query")
        raise Problem(400, detail, type="too-many", errors=[wrong]) from None
    await desk.log(auditor, "read-unusual-access", started)
    rules = [RuleView(rule=rule.name, about=Text(nl=rule.nl, en=rule.en)) for rule in RULES.values()]
    findings = [_view(finding) for finding in found.findings]
    return UnusualView(
        since=since, until=until, looks=found.looks, forgotten=found.forgotten, rules=rules, findings=findings
    )


def _view(finding: Finding) -> FindingView:
    rule, counts = RULES[finding.rule], finding.counts
    why = Text(nl=rule.why_nl.format(**counts), en=rule.why_en.format(**counts))
    return FindingView(**{**finding._asdict(), "why": why})
