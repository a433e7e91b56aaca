"""Reading a request's body into a strict model: all errors at once, and nothing of what was sent in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import Body as JsonBody
from fastapi import Request
from pydantic import BaseModel, ValidationError

from services.chassis.problems import FieldError, Problem, field_errors
from services.intake.domain.checks import context

Model = TypeVar("Model", bound=BaseModel)
# From JSON as it was sent, of any shape, to what is wrong with it: (pointer, code, message).
Further = Callable[[Any], list[tuple[str, str, str]]]


def parse(model: type[Model], content: bytes, now: datetime) -> Model | list[FieldError]:
    """The model in these bytes of JSON, or what is wrong with them."""
    try:
        return model.model_validate_json(content, context=context(now))
    except ValidationError as error:
        return field_errors(error.errors(include_url=False), "body")


def body(model: type[Model], further: Further = lambda _: []) -> Callable[..., Awaitable[Model]]:
    """A dependency: the request's body as this model. Raises Problem 400. Describe it with `described`.

    `further` looks at the body as it was sent, for what the fields alone do not show; a model would say it only once
    all fields are right. What it says of a place that has an error is left out.
    """

    # The declared parameter has FastAPI read the body first, so that the chassis can check it (content type, nesting).
    async def read(request: Request, sent: Annotated[Any, JsonBody()]) -> Model:
        found = parse(model, await request.body(), datetime.now(UTC))
        errors = found if isinstance(found, list) else []
        places = {error.pointer for error in errors}
        errors += [error for each in further(sent) if (error := FieldError(*each)).pointer not in places]
        if errors or isinstance(found, list):
            raise Problem(400, type="invalid", errors=errors)
        return found

    return read


def described(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route whose body is this model."""
    schema = model.model_json_schema(by_alias=True)
    inlined = _inline(schema, schema.get("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inlined}}}}


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    """References replaced by what they refer to: an OpenAPI document has no `$defs` of a body's own."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(item, definitions) for name, item in node.items() if name != "$defs"}
