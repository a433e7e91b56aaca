"""What the message gateway would have sent to residents: in memory only, the last ones only."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

_MOST, _SHOWN, _MOST_BYTES = 1000, 100, 16_384
Page = Callable[..., Response]


class Address(BaseModel):
    """A phone number or an e-mail address."""

    to: str = Field(min_length=1, max_length=320)


class Letter(Address):
    """A message; what else a gateway may be told is not kept."""

    model_config = ConfigDict(extra="ignore")

    channel: str = Field("", max_length=20)
    text: str = Field("", max_length=2_000)


def _bounded(request: Request) -> None:
    if int(request.headers.get("content-length", _MOST_BYTES + 1)) > _MOST_BYTES:
        raise HTTPException(413, f"send at most {_MOST_BYTES} bytes, and say how many")


def mailbox(page: Page) -> APIRouter:
    """POST /mailbox takes a letter; GET /mailbox is a page of the newest.

    POST /mailbox/search answers those of one address, the newest first: an address in a URL would stay in histories.
    """
    letters: deque[tuple[str, Letter]] = deque(maxlen=_MOST)
    router = APIRouter()

    @router.post("/mailbox", status_code=202, dependencies=[Depends(_bounded)])
    async def take(letter: Letter) -> None:
        letters.appendleft((datetime.now().astimezone().isoformat(" ", "seconds"), letter))

    @router.get("/mailbox")
    async def show() -> Response:
        return page("mailbox.html", letters=list(islice(letters, _SHOWN)), most=_SHOWN)

    @router.post("/mailbox/search", dependencies=[Depends(_bounded)])
    async def search(wanted: Address) -> list[dict[str, Any]]:
        return [letter.model_dump() for _, letter in letters if letter.to == wanted.to]

    return router
