"""HTTP in: cases, for professionals of their municipality. A look is in the processing log before it is answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from hulpketen_contracts import Proposal
from hulpketen_contracts.values import CaseResult, CaseStatus, Id, Municipality

from services.chassis.auth import Principal, requires
from services.chassis.incoming import Idempotency, RequestModel
from services.chassis.pipeline.model import Decision, State
from services.chassis.problems import FieldError, Problem
from services.matching.api import Matching, Place
from services.matching.domain import cases, referrals
from services.matching.domain.cases import World
from services.matching.domain.directory import Directory
from services.matching.domain.file import Case, File
from services.matching.domain.texts import TEXTS
from services.matching.store import CaseFilter
from services.matching.views import (
    CaseDetail,
    CasePage,
    CaseSummary,
    ProposalsView,
    ProposalView,
    ReferralView,
    RuleView,
    SignalView,
)

ACTIVITY = "manage-cases"
Reader = Annotated[Principal, Depends(requires("cases:read"))]
Writer = Annotated[Principal, Depends(requires("cases:write"))]


class Closing(RequestModel):
    """How a case ends."""

    result: CaseResult


def routes(matching: Matching) -> APIRouter:
    """The routes of cases."""
    router = APIRouter(prefix="/v1/cases", tags=["cases"])
    _looks(router, matching)

    @router.post("/{case}/close", summary="Close a case with its result", responses={409: {"description": "Closed"}})
    async def close_case(writer: Writer, case: Id, closing: Closing, key: Idempotency) -> CaseSummary:
        aggregate, _ = await matching.case(case, writer)

        def close(state: State | None, world: World) -> Decision:
            return cases.close(state, case, closing.result, writer.organisation, world)

        answer = await matching.execute(aggregate, close, key)
        return CaseSummary.model_validate(answer)

    return router


def _looks(router: APIRouter, matching: Matching) -> None:
    @router.get("", summary="The last case of each person or address, the latest first")
    async def list_cases(
        reader: Reader, wanted: Annotated[CaseFilter, Depends(_wanted)], at: Annotated[Place, Depends()]
    ) -> CasePage:
        started = matching.looks.clock()
        files, total = await matching.store.list_files(wanted, at.page, at.per_page)
        await matching.log("list-cases", ACTIVITY, reader, files, started)
        items = [CaseSummary.model_validate(cases.summary(file, file["cases"][-1])) for file in files]
        return CasePage(items=items, page=at.page, per_page=at.per_page, total=total)

    @router.get("/{case}", summary="One case, with its signals and referrals")
    async def read_case(reader: Reader, case: Id) -> CaseDetail:
        started = matching.looks.clock()
        _, file = await matching.case(case, reader)
        await matching.log("read-case", ACTIVITY, reader, [file], started)
        return _detail(file, cases.case_in(dict(file), case)[1])

    @router.get("/{case}/proposals", summary="What the rules propose now, each rule explained; a person decides")
    async def read_proposals(reader: Reader, case: Id) -> ProposalsView:
        started = matching.looks.clock()
        _, file = await matching.case(case, reader)
        await matching.log("read-proposals", "propose-help", reader, [file], started)
        directory = matching.directory.current
        need = cases.need_of(file, cases.case_in(dict(file), case)[1])
        found = directory.propose(need, started.date()).proposals
        return ProposalsView(case=case, proposals=[_proposal(each, directory) for each in found])


def _wanted(
    reader: Reader,
    municipality: Annotated[
        Municipality | None, Query(description="One of the caller's; all of them if left out.")
    ] = None,
    status: CaseStatus = "open",
    flagged: Annotated[bool, Query(description="Only cases that wait for a human's look.")] = False,
) -> CaseFilter:
    if municipality and municipality not in reader.municipalities:
        wrong = FieldError("/municipality", "not-yours", "Not one of your municipalities.", "query")
        raise Problem(403, "That is not one of your municipalities.", type="municipality", errors=[wrong])
    return CaseFilter([municipality] if municipality else sorted(reader.municipalities), status, flagged)


def _detail(file: File, case: Case) -> CaseDetail:
    received = [
        SignalView(
            signal=signal["id"],
            sender=signal["sender"],
            partner_type=signal["type"],
            amount=signal["amount"],
            signalled_on=signal["day"],
            crisis=signal["crisis"],
            repeated=signal["repeated"],
        )
        for signal in case["signals"]
    ]
    made = [referrals.answer(file, each) for each in file.get("referrals", ()) if each["case"] == case["id"]]
    return CaseDetail(
        **cases.summary(file, case),
        received=received,
        referrals=[ReferralView.model_validate(each) for each in made],
        other_cases=[each["id"] for each in file["cases"] if each["id"] != case["id"]],
    )


def _proposal(proposal: Proposal, directory: Directory) -> ProposalView:
    rules = []
    for outcome in proposal.rules:
        detail = outcome.detail or ""
        text = TEXTS[outcome.rule, detail]
        rules.append(RuleView(rule=outcome.rule, met=outcome.met, detail=detail, nl=text.nl, en=text.en))
    name = directory.services[proposal.service].name
    return ProposalView(service=proposal.service, name=name, organisation=proposal.organisation, rules=rules)
