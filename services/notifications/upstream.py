"""Calls to the other services on behalf of who is signed in at the board; their refusals become plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from services.chassis.logs import get_logger
from services.chassis.problems import Problem
from services.chassis.telemetry import current_traceparent
from services.notifications.domain.texts import ERRORS

log = get_logger(__name__)
_SAME = {410: 404, 413: 400, 415: 400, 422: 400}


class Upstream:
    """One of the other services, reached over HTTP."""

    def __init__(self, url: str, timeout_s: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, timeout=timeout_s, transport=transport, trust_env=False, follow_redirects=False
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def call(
        self, method: str, path: str, token: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Any:
        """The answer's JSON. Raises Problem with a sentence in Dutch, and one in English as `detailEn`."""
        headers = {"Authorization": f"Bearer {token}"}
        if traceparent := current_traceparent():
            headers["traceparent"] = traceparent
        if key:
            headers["Idempotency-Key"] = key
        try:
            answer = await self._http.request(method, path, json=body, headers=headers)
            found: Any = answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError) as error:
            log.warning("upstream_away", error=error)
            raise refusal(503) from error
        if answer.status_code >= 400:
            raise refusal(answer.status_code, found)
        return found


def refusal(status: int, problem: Any = None) -> Problem:
    """What the board is told of a refusal: the status, a sentence for people, and which actions are allowed."""
    status = _SAME.get(status, status)
    text = ERRORS.get(status) or ERRORS[503]
    extensions: dict[str, Any] = {"detailEn": text.en}
    if isinstance(problem, dict) and isinstance(problem.get("allowed"), list):
        extensions["allowed"] = problem["allowed"]
    return Problem(status if status in ERRORS else 503, text.nl, type="board", extensions=extensions)
