"""Error answers: application/problem+json (RFC 9457), which never repeat what was sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry import trace
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:problem-type:hulpketen:"
# A name that a body's contract could have; anything else in its path may be what somebody wrote.
_FIELD_NAME = re.compile(r"[a-z][A-Za-z]{0,39}\d{0,2}")
# Names of parameters come from our own code.
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}\d{0,2}")
TOO_LARGE = "The body is larger than is taken here. Send less at once."
UNREADABLE = "The body cannot be read: send JSON in UTF-8 that is not nested deeper than 32."
_OBJECT_NEEDED = frozenset({"model_attributes_type", "model_type", "dict_type"})
_TITLES = {
    400: "The request is not valid",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "In conflict with what is there",
    410: "Gone",
    413: "The request is too large",
    415: "Content type not supported",
    500: "Something went wrong here",
    503: "Not available now",
}


class FieldError(NamedTuple):
    """One error of a request: where (body, query, path or header, and a JSON pointer in it), a code, and a message."""

    pointer: str
    code: str
    message: str
    place: str = "body"


class Problem(Exception):
    """An error answer. No argument may hold a personal value.

    `type` is a slug such as "key-reused"; `extensions` are extra members of the answer (`allowed`, for example).
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        title: str = "",
        type: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(type or str(status))
        self.status = status
        self.title = title or _TITLES.get(status, "Error")
        self.detail = detail
        self.type = type
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})

    def body(self) -> dict[str, Any]:
        """The members of the answer; `traceId` is that of the request under way."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.type if self.type else "about:blank",
            "title": self.title,
            "status": self.status,
        }
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = [
                {"in": e.place, "pointer": e.pointer, "code": e.code, "message": e.message} for e in self.errors
            ]
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            body["traceId"] = f"{context.trace_id:032x}"
        return body | self.extensions

    def response(self) -> JSONResponse:
        """The answer itself."""
        return JSONResponse(self.body(), self.status, self.headers, media_type=MEDIA_TYPE)


def pointer(path: Iterable[str | int], place: str = "body") -> str:
    """A JSON pointer (RFC 6901) of names and indexes; it stops before a name that no contract would have."""
    names = _FIELD_NAME if place == "body" else _PARAMETER
    parts: list[str] = []
    for part in path:
        if isinstance(part, str) and not names.fullmatch(part):
            break
        parts.append(f"/{part}")
    return "".join(parts)


def field_errors(errors: Iterable[Mapping[str, Any]], place: str | None = None) -> list[FieldError]:
    """Errors of pydantic as errors of a request.

    With `place` None the first part of each location names the place, as FastAPI gives it.
    """
    found: list[FieldError] = []
    for error in errors:
        path = tuple(error["loc"])
        where = place or (str(path[0]) if path else "body")
        rest = path if place else path[1:]
        if error["type"] == "json_invalid":
            rest = ()
        found.append(FieldError(pointer(rest, where), str(error["type"]).replace("_", "-"), _message(error), where))
    return found


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid" and error["loc"] and isinstance(error["loc"][-1], int):
        return f"Is not JSON, from character {error['loc'][-1] + 1} on"
    if error["type"] in _OBJECT_NEEDED:
        return "Must be a JSON object"
    message = str(error.get("msg", "")).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return "Not allowed here" if any(leaf in message for leaf in _leaves(error.get("input"))) else message


def _leaves(value: Any) -> Iterator[str]:
    """The texts in what was sent that are long enough to tell something when repeated."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(key)
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool) and len(text := str(value)) > 2:
        yield text
