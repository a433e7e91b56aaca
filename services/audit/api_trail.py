"""HTTP in: the signed trail, as C2SP `tlog-tiles` has it: for everybody of the chain, and its entries for auditors.

Hashes and checkpoints say nothing of a person, and no look at them is in the processing log. A look at entries is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, NoReturn, Protocol

from fastapi import APIRouter, Depends, Path, Query
from hulpketen_contracts.trail.errors import Malformed, TrailError
from hulpketen_contracts.trail.proof import Proof
from hulpketen_contracts.trail.tiles import ENTRIES, parse_path
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from services.audit.api import ACTIVITY, Auditor, Period, bounded, period
from services.audit.checkpoints import Kept
from services.audit.domain.leaves import leaf_of
from services.audit.doors import who_may
from services.audit.reading import NotSigned, TrailReader, texts
from services.audit.store import TrailStore
from services.chassis.auth import Principal
from services.chassis.logs import get_logger
from services.chassis.problems import FieldError, Problem
from services.chassis.processing_log import Looks

log = get_logger(__name__)
_damaged = log.waits("tiles_damaged")
# What has a name holds the same for ever: a tile of a width, a proof between two sizes.
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NEVER = {"Cache-Control": "no-store"}
_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

Reader = Annotated[Principal, Depends(who_may("hashes"))]
Size = Annotated[int, Query(ge=1, lt=2**53)]
Index = Annotated[int, Query(ge=0, lt=2**53)]


class PeriodView(BaseModel):
    """Between which numbers the entries of a period stand: `first` to before `end`. Others may be among them."""

    first: int
    end: int


class Signed(Protocol):
    """What is read of the trail; no reader where it is not signed."""

    reader: TrailReader | None
    public_keys: list[str]


class ProofView(BaseModel):
    """A proof of RFC 6962: its hashes, in base64."""

    hashes: list[str]


def routes(trail: Signed, store: TrailStore, looks: Looks, cosigned: Callable[[Kept], Awaitable[str]]) -> APIRouter:
    """The routes of the signed trail. `cosigned`: the text of a checkpoint with all that vouch for it under it."""
    router = APIRouter(prefix="/v1/trail", tags=["trail"])

    @router.get(
        "/checkpoint",
        summary="The newest signed checkpoint, with all who vouch for it",
        response_class=PlainTextResponse,
    )
    async def checkpoint(_: Reader) -> Response:
        async with _answered():
            text = await cosigned(await _reader(trail).newest())
        return PlainTextResponse(text, headers=_NEVER)

    @router.get("/keys", summary="The keys that checkpoints are signed with", response_class=PlainTextResponse)
    async def keys(_: Reader) -> Response:
        return PlainTextResponse("".join(f"{key}\n" for key in trail.public_keys), headers=_NEVER)

    @router.get("/tile/entries/{place:path}", summary="A bundle of entries", response_class=Response)
    async def entries(auditor: Auditor, place: str) -> Response:
        started = looks.clock()
        content = await _file(trail, f"tile/{ENTRIES}/{place}")
        await looks.record("check-audit-trail", auditor, name="read-audit-entries", started=started)
        return Response(content, headers=_NEVER, media_type="application/octet-stream")

    @router.get("/tile/{level}/{place:path}", summary="A tile of hashes", response_class=Response)
    async def tile(_: Reader, level: str, place: str) -> Response:
        content = await _file(trail, f"tile/{level}/{place}")
        return Response(content, headers=_FOR_EVER, media_type="application/octet-stream")

    @router.get("/consistency-proofs", summary="That a tree goes on from a smaller one")
    async def consistency(_: Reader, old: Annotated[int, Query(alias="from", ge=0, lt=2**53)], to: Size) -> ProofView:
        if old > to:
            _refuse("/from", "larger-than-the-later", f"A tree of {to} entries cannot go on from one of {old}.")
        async with _answered():
            return ProofView(hashes=texts(await _reader(trail).consistency(old, to)))

    @router.get("/inclusion-proofs", summary="That an entry is in a tree")
    async def inclusion(_: Reader, index: Index, size: Size) -> ProofView:
        if index >= size:
            _refuse("/index", "not-in-the-tree", f"A tree of {size} entries has none with the number {index}.")
        async with _answered():
            return ProofView(hashes=texts(await _reader(trail).inclusion(index, size)))

    @router.get("/period", summary="Between which numbers the entries of a period stand")
    async def between(auditor: Auditor, asked: Annotated[Period, Depends(period)]) -> PeriodView:
        started = looks.clock()
        with bounded():
            first, end = await store.numbers(*asked)
        await looks.record("check-audit-trail", auditor, name="read-audit-period", started=started)
        return PeriodView(first=first, end=end)

    @router.get("/proofs/{event}", summary="The proof of one entry, as a file", response_class=PlainTextResponse)
    async def proof(auditor: Auditor, event: Annotated[str, Path(pattern=_UUID)]) -> Response:
        started = looks.clock()
        entry = await store.of_event(event)
        person = entry.get("about", {}).get("person") if entry else None
        await looks.record(ACTIVITY, auditor, [person] if person else (), name="prove-audit-entry", started=started)
        if entry is None:
            raise Problem(404, "The trail has no entry of this event.")
        async with _answered():
            kept, hashes = await _reader(trail).prove(entry)
        found = Proof(entry["_id"], leaf_of(entry), tuple(hashes), await cosigned(kept))
        return PlainTextResponse(str(found), headers=_NEVER)

    return router


def _reader(trail: Signed) -> TrailReader:
    if trail.reader is None:
        raise NotSigned("This trail has no second place, and is not signed.")
    return trail.reader


async def _file(trail: Signed, path: str) -> bytes:
    try:
        asked = parse_path(path)
    except Malformed as error:
        _refuse("/path", "no-tile", f"{str(error)[:1].upper()}{str(error)[1:]}.")
    async with _answered():
        return await _reader(trail).file(asked)


def _refuse(pointer: str, code: str, message: str) -> NoReturn:
    place = "path" if pointer == "/path" else "query"
    raise Problem(400, message, type="invalid", errors=[FieldError(pointer, code, message, place)])


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    """What is not signed is 404; a second place that does not hold what it should is ours to mend: 503."""
    try:
        yield
    except NotSigned as error:
        raise Problem(404, str(error), type="not-signed") from error
    except (TrailError, OSError) as error:
        _damaged.say(error=error)
        detail = "The tiles of the trail cannot be read, or are not what was signed."
        raise Problem(503, detail, type="tiles-damaged", headers={"Retry-After": "60"}) from error
    else:
        _damaged.over()
