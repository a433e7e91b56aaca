"""HTTP in: the keys with which partners vouch for the trail, what they vouch for, and who looks after all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import PlainTextResponse

from services.audit.checkpoints import CheckpointStore
from services.audit.doors import who_may
from services.audit.witness_store import Cosigned, Witness
from services.audit.witnesses import Refused, Witnesses
from services.chassis.auth import Principal
from services.chassis.incoming import RequestModel
from services.chassis.problems import FieldError, Problem

Partner = Annotated[Principal, Depends(who_may("vouching"))]
Reader = Annotated[Principal, Depends(who_may("hashes"))]
Overseer = Annotated[Principal, Depends(who_may("witnesses"))]
_CREATED = 201


class KeyIn(RequestModel):
    """The public key with which your organisation vouches: a C2SP vkey of type 0x04 (Ed25519, cosignature/v1)."""

    vkey: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[!-~]+$")]


class CosignedIn(RequestModel):
    """A checkpoint of the trail as it was signed here, with your signature line under it (C2SP tlog-cosignature)."""

    checkpoint: Annotated[str, Field(min_length=1, max_length=20_000)]


class _View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class KeyView(_View):
    """Your key, and since when it counts."""

    vkey: str
    since: datetime


class CosignedView(_View):
    """What you vouch for now."""

    size: int
    signed_at: datetime
    received_at: datetime


class WitnessView(_View):
    """An organisation that vouches. `size`: for so many entries; `behind`: how many were signed since."""

    organisation: str
    vkey: str
    since: datetime
    size: int | None
    behind: int
    signed_at: datetime | None
    received_at: datetime | None


class WitnessesView(_View):
    """All who have a key. `size`: of the newest checkpoint."""

    size: int
    items: list[WitnessView]


def routes(witnesses: Witnesses, checkpoints: CheckpointStore) -> APIRouter:
    """The routes under /v1/trail that are about witnesses."""
    router = APIRouter(prefix="/v1/trail", tags=["trail"])

    @router.put("/witness-key", summary="The key with which your organisation vouches for the trail")
    async def put_key(partner: Partner, given: KeyIn) -> KeyView:
        try:
            key = await witnesses.register(partner.organisation, given.vkey)
        except Refused as refused:
            raise _problem(refused, "/vkey") from None
        return KeyView(vkey=key.vkey, since=key.since)

    @router.post("/cosignatures", summary="Vouch for a checkpoint", responses={_CREATED: {"model": CosignedView}})
    async def post_cosignature(partner: Partner, given: CosignedIn, response: Response) -> CosignedView:
        try:
            cosigned, new = await witnesses.cosign(partner.organisation, given.checkpoint)
        except Refused as refused:
            raise _problem(refused, "/checkpoint") from None
        if new:
            response.status_code = _CREATED
        return _cosigned(cosigned)

    @router.get("/witnesses", summary="Who vouches for how much of the trail")
    async def get_witnesses(_: Overseer) -> WitnessesView:
        last = await checkpoints.last()
        size = last.size if last else 0
        return WitnessesView(size=size, items=[_witness(each, size) for each in await witnesses.all()])

    @router.get(
        "/cosigned-checkpoint",
        summary="The largest checkpoint that somebody vouches for, with all who do",
        response_class=PlainTextResponse,
    )
    async def get_cosigned(_: Reader) -> Response:
        text = await witnesses.largest()
        if text is None:
            raise Problem(404, "Nobody vouches for this trail yet.", type="not-cosigned")
        return PlainTextResponse(text, headers={"Cache-Control": "no-store"})

    return router


def _problem(refused: Refused, pointer: str) -> Problem:
    error = FieldError(pointer, refused.check, refused.detail)
    return Problem(refused.status, refused.detail, type=refused.check, errors=[error])


def _cosigned(cosigned: Cosigned) -> CosignedView:
    return CosignedView(size=cosigned.size, signed_at=cosigned.signed_at, received_at=cosigned.at)


def _witness(witness: Witness, newest: int) -> WitnessView:
    last = witness.last
    return WitnessView(
        organisation=witness.organisation,
        vkey=witness.key.vkey,
        since=witness.key.since,
        size=last.size if last else None,
        behind=newest - (last.size if last else 0),
        signed_at=last.signed_at if last else None,
        received_at=last.at if last else None,
    )
