"""The page of the financial test, at /test: the only page of intake, open to everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.intake.domain.questionnaire import Questionnaire
from services.intake.store import IntakeStore

_FOLDER = Path(__file__).parent / "page"


def routes(store: IntakeStore, questionnaire: Questionnaire) -> APIRouter:
    """The page and its own style and script."""
    router = APIRouter(include_in_schema=False)
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("test.html")

    @router.get("/test")
    async def test_page() -> Response:
        content = template.render(questionnaire=questionnaire, municipalities=_options(await store.municipalities()))
        return Response(content, media_type="text/html")

    for name, media_type in (("test.css", "text/css"), ("test.js", "text/javascript")):
        router.get(f"/test/{name}")(_file(name, media_type))
    return router


def _options(organisations: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Code and name of each municipality that takes part."""
    return [(code, each["name"]) for each in organisations for code in each["municipalities"]]


def _file(name: str, media_type: str) -> Any:
    content = (_FOLDER / name).read_bytes()

    async def file() -> Response:
        return Response(content, media_type=media_type)

    return file
