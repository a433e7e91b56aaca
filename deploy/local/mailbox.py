"""What the message gateway would have sent to residents: in memory only, the last ones only."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

_MOST = 1000


class Letter(BaseModel):
    """A message to a phone number or an e-mail address; a gateway's further fields are kept as they come."""

    model_config = ConfigDict(extra="allow")

    to: str = Field(min_length=1, max_length=320)


def mailbox() -> APIRouter:
    """POST /mailbox takes a letter, GET /mailbox?to=… answers those of one address, the newest first."""
    letters: deque[Letter] = deque(maxlen=_MOST)
    router = APIRouter()

    @router.post("/mailbox", status_code=202)
    async def take(letter: Letter) -> None:
        letters.appendleft(letter)

    @router.get("/mailbox")
    async def show(to: Annotated[str, Query(max_length=320)] = "") -> list[dict[str, Any]]:
        return [letter.model_dump() for letter in letters if to in ("", letter.to)]

    return router
