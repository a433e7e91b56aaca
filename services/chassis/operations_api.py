"""Routes that every service has: health, metrics, its OpenAPI document, and what operations staff do by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AwareDatetime, Field

from services.chassis import metrics
from services.chassis.auth import requires
from services.chassis.incoming import Idempotency, RequestModel
from services.chassis.operations import StillDead
from services.chassis.pipeline.model import IdempotencyKey
from services.chassis.problems import Problem


class Operations(Protocol):
    """What the pipeline offers to operations staff; operations.py does it."""

    async def list_dead_letters(self, limit: int, after: str | None) -> list[dict[str, Any]]:
        """Oldest first."""

    async def show_dead_letter(self, id: str) -> dict[str, Any]:
        """One of them. Raises UnknownDeadLetter."""

    async def replay(self, id: str) -> None:
        """Apply it now. Raises UnknownDeadLetter, StillDead."""

    async def skip(self, id: str, reason: str) -> None:
        """Pass over it. Raises UnknownDeadLetter."""

    async def republish(self, since: AwareDatetime) -> int:
        """Publish again; how many batches."""


class Answers(Protocol):
    """What was answered, by the key that the client gave; mongo/answers.py keeps it."""

    async def once(self, key: IdempotencyKey | None, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """The answer of the work, done once for each key. Raises what it raised, and KeyReused."""


class Runtime(Protocol):
    """What the web side needs of a service's runtime (service.py)."""

    @property
    def operations(self) -> Operations:
        """What operations staff do by hand."""

    @property
    def answers(self) -> Answers:
        """What they were answered."""

    @property
    def caught_up(self) -> bool:
        """Whether it knows what it once knew: a database that was restored is behind at first."""

    def digest_key(self) -> bytes:
        """The key of digests of requests. Raises StoreUnavailable as long as the keys are not open."""

    async def start(self) -> None:
        """Begin to consume and publish."""

    async def stop(self) -> None:
        """Stop in order."""

    def checks(self) -> dict[str, bool]:
        """What readiness looks at, by name."""


class SkipRequest(RequestModel):
    """Why a dead letter is passed over."""

    reason: str = Field(min_length=3, max_length=200, description="Kept with the dead letter; no personal data.")


class RepublishRequest(RequestModel):
    """From when on to publish again."""

    since: AwareDatetime


def health_routes(runtime: Runtime) -> APIRouter:
    """/livez and /readyz, open to all: they tell names of checks and nothing else."""
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def live() -> dict[str, str]:
        return {"status": "pass"}

    @router.get("/readyz")
    async def ready() -> JSONResponse:
        checks = runtime.checks()
        good = all(checks.values())
        content = {"status": "pass" if good else "fail", "checks": checks}
        return JSONResponse(content, 200 if good else 503, None if good else {"Retry-After": "1"})

    return router


def operations_routes(runtime: Runtime) -> APIRouter:
    """/metrics and /v1/operations, for the scope `operations`; /openapi.json, for any token."""
    router = APIRouter(tags=["operations"])
    router.include_router(_dead_letter_routes(runtime))

    @router.get("/metrics", dependencies=[Depends(requires("operations"))])
    async def show_metrics() -> Response:
        for name, good in runtime.checks().items():
            metrics.ready.labels(name).set(good)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/openapi.json", dependencies=[Depends(requires())])
    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(request.app.openapi())

    @router.post("/v1/operations/republish", dependencies=[Depends(requires("operations"))])
    async def republish(body: RepublishRequest, key: Idempotency) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            return {"batches": await runtime.operations.republish(body.since)}

        return await runtime.answers.once(key, work)

    return router


def _dead_letter_routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/v1/operations/dead-letters", dependencies=[Depends(requires("operations"))])

    @router.get("")
    async def list_dead_letters(
        limit: Annotated[int, Query(ge=1, le=500)] = 100, after: Annotated[str | None, Query(max_length=200)] = None
    ) -> dict[str, Any]:
        return {"items": await runtime.operations.list_dead_letters(limit, after)}

    @router.get("/{id}")
    async def show_dead_letter(id: str) -> dict[str, Any]:
        return await runtime.operations.show_dead_letter(id)

    @router.post("/{id}/replay")
    async def replay(id: str, key: Idempotency) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            try:
                await runtime.operations.replay(id)
            except StillDead as error:
                raise Problem(409, str(error), type="still-dead") from error
            return {"id": id, "status": "replayed"}

        return await runtime.answers.once(key, work)

    @router.post("/{id}/skip")
    async def skip(id: str, body: SkipRequest, key: Idempotency) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            await runtime.operations.skip(id, body.reason)
            return {"id": id, "status": "skipped"}

        return await runtime.answers.once(key, work)

    return router
