"""HTTP in: the financial test, open to everybody."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request

from services.chassis.incoming import Idempotency
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command
from services.intake.bodies import body, described
from services.intake.domain.choice import complete
from services.intake.domain.directory import offer
from services.intake.domain.questionnaire import Questionnaire, TestIn, further, score
from services.intake.store import Document, IntakeStore


def routes(engine: Engine, store: IntakeStore, questionnaires: Mapping[str, Questionnaire]) -> APIRouter:
    """The routes /v1/questionnaires/current and /v1/tests. The last of `questionnaires` is the current one."""
    router = APIRouter(tags=["tests"])
    current = list(questionnaires.values())[-1]
    read: Any = Depends(body(TestIn, partial(further, questionnaires)))

    @router.get("/v1/questionnaires/current")
    async def get_questionnaire() -> dict[str, Any]:
        """The questions, in Dutch and English, and how the answers are scored."""
        return current.model_dump(by_alias=True, exclude_none=True)

    @router.post("/v1/tests", status_code=201, openapi_extra=described(TestIn))
    async def post_test(request: Request, key: Idempotency, given: TestIn = read) -> dict[str, Any]:
        """Take the test: the exit, the reasons, and help that fits. Nobody is asked who they are."""
        questionnaire = questionnaires[given.questionnaire]
        outcome = score(questionnaire, given.answers)
        test = _test_id(request.app.state.digest_key(), key.key) if key else str(uuid.uuid4())
        decide = complete(test, given.municipality, questionnaire.version, outcome)
        state = await engine.execute(Command(f"test-{test}", decide, key=key))
        services = await store.services(state["municipality"], state["exit"])
        return _answer(questionnaire, state, services)

    return router


def _test_id(digest_key: bytes, key: str) -> str:
    """The same key is the same test; who does not know the key cannot tell the id, which is all that opens a test."""
    return str(uuid.UUID(bytes=hmac.digest(digest_key, f"test/{key}".encode(), "sha256")[:16], version=4))


def _answer(questionnaire: Questionnaire, state: Mapping[str, Any], services: list[Document]) -> dict[str, Any]:
    texts = questionnaire.reasons
    return {
        "test": state["test"],
        "questionnaire": state["questionnaire"],
        "municipality": state["municipality"],
        "exit": state["exit"],
        "exitText": questionnaire.exits[state["exit"]].model_dump(),
        "urgent": state["crisis"],
        "reasons": [{"code": code, "text": texts[code].model_dump()} for code in state["reasons"]],
        "services": [offer(service) for service in services],
    }
