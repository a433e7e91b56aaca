"""HTTP in: deliveries of many signals at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse

from services.chassis.auth import Principal, requires
from services.chassis.incoming import hidden
from services.chassis.problems import Problem
from services.intake.delivering import Batches, Delivery, answer_shape
from services.intake.domain.basis import Sender
from services.intake.even_time import EvenTime
from services.intake.reading import Line, Oddities, csv_rows, ndjson
from services.intake.reading_ddas import ddas
from services.intake.settings import IntakeSettings
from services.intake.store import IntakeStore
from services.intake.taking import Desk

Writer = Annotated[Principal, Depends(requires("signals:write"))]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
NDJSON, CSV, DDAS = "application/x-ndjson", "text/csv", "application/json"
_EXAMPLES: dict[str, Any] = {name: {"schema": {"type": "string", "format": "binary"}} for name in (NDJSON, CSV, DDAS)}
_EXTRA: dict[str, Any] = {
    "requestBody": {"required": True, "content": _EXAMPLES},
    "responses": {"200": {"description": "What came of each line", "content": {DDAS: {"schema": answer_shape()}}}},
}


def routes(
    desk: Desk, store: IntakeStore, settings: IntakeSettings, clock: Callable[[], datetime], even_time: EvenTime
) -> APIRouter:
    """The route /v1/deliveries."""
    router = APIRouter(tags=["signals"])

    @router.post("/v1/deliveries", openapi_extra=_EXTRA, max_body_size=settings.delivery_max_bytes)
    async def post_delivery(principal: Writer, request: Request, key: Key = None) -> Response:
        """Send many signals: NDJSON, CSV with a header, or DDAS JSON; read as it streams in.

        Each line is taken or refused. The same delivery again takes nothing twice.
        """
        content_type = _content_type(request)
        sender = await desk.sender(principal)
        if content_type == DDAS:
            _municipality_only(sender)
        oddities = Oddities()
        batches = None
        if key:
            secret: bytes = request.app.state.digest_key()
            name = f"{principal.organisation}/{content_type}/{hidden(secret, key)}"
            batches = Batches(store, name, secret, clock)
        delivery = Delivery(desk, principal.organisation, sender, batches, clock)
        lines = _read(content_type, request.stream(), settings.delivery_line_bytes, oddities)
        async with even_time.kept():
            await delivery.take(lines, settings.delivery_batch, settings.delivery_max_lines)
        return StreamingResponse(delivery.answer(oddities), media_type="application/json")

    return router


def _read(content_type: str, chunks: AsyncIterator[bytes], limit: int, oddities: Oddities) -> AsyncIterator[Line]:
    if content_type == NDJSON:
        return ndjson(chunks, limit)
    return csv_rows(chunks, limit) if content_type == CSV else ddas(chunks, limit, oddities)


def _content_type(request: Request) -> str:
    name, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.lower().replace(" ", "").replace('"', "").partition("charset=")[2]
    if name.strip().lower() not in (NDJSON, CSV, DDAS) or charset not in ("", "utf-8", "us-ascii"):
        raise Problem(415, f"Send {NDJSON}, {CSV} or {DDAS} (DDAS vroegsignalering), in UTF-8.", type="content-type")
    return name.strip().lower()


def _municipality_only(sender: Sender | None) -> None:
    if sender is None or sender.kind != "municipality":
        raise Problem(403, f"DDAS is what municipalities deliver. Send {NDJSON} or {CSV}.", type="not-a-municipality")
