"""What comes in with a request: is its body what it says, and is the request one that was made before."""

from __future__ import annotations

import hmac
import math
import re
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from services.chassis.auth import principal_of
from services.chassis.pipeline.model import IdempotencyKey
from services.chassis.problems import FieldError, Problem, pointer

MAX_DEPTH = 32
# Only a body with one of these can hold a text or a number that is none: an escaped NUL or surrogate, NaN, Infinity.
_SUSPECT = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|NaN|Infinity")
_UNSUPPORTED = "Send JSON as application/json, in UTF-8, without a content encoding."
Path = tuple[str | int, ...]


class RequestModel(BaseModel):
    """Base of request bodies: camelCase names, nothing unknown, and nothing of what was sent in an error's text."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )


async def check_body(request: Request) -> None:
    """A dependency of every route: refuses what no model would see. Raises Problem 400 or 415.

    A route that reads its body as a stream is left alone, but for its content encoding.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, _UNSUPPORTED, type="content-type")
    # What FastAPI has read is kept on the request under these names; a stream leaves neither.
    body: bytes = getattr(request, "_body", b"")
    if not body or getattr(request, "_form", None) is not None:
        return
    charset = re.search(r"charset=\"?([^\s;\"]+)", request.headers.get("content-type", ""), re.IGNORECASE)
    if not hasattr(request, "_json") or (charset and charset[1].lower() not in ("utf-8", "us-ascii")):
        raise Problem(415, _UNSUPPORTED, type="content-type")
    check_json(body, await request.json())


def check_json(body: bytes, value: Any) -> None:
    """Refuse nesting deeper than 32, NUL and lone surrogates in texts, and numbers that are none. Raises Problem."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
        raise Problem(400, f"Nested deeper than {MAX_DEPTH}.", type="nesting")
    if _SUSPECT.search(body) and (errors := _unwritable(value, ())):
        raise Problem(400, type="invalid", errors=errors)


def _deeper(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _unwritable(value: Any, path: Path) -> list[FieldError]:
    if isinstance(value, dict):
        keys = [error for key in value for error in _unwritable(key, path)]
        return keys + [error for key, item in value.items() for error in _unwritable(item, (*path, key))]
    if isinstance(value, list):
        return [error for index, item in enumerate(value) for error in _unwritable(item, (*path, index))]
    if isinstance(value, float) and not math.isfinite(value):
        return [FieldError(pointer(path), "not-a-number", "Must be a number")]
    if isinstance(value, str) and ("\0" in value or not _is_text(value)):
        return [FieldError(pointer(path), "not-text", "Must be text, without NUL")]
    return []


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


async def idempotency(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="The same request with the same key gets the same answer; another under the same key, 409.",
        ),
    ] = None,
) -> IdempotencyKey | None:
    """A dependency: the client's key with the organisation and a digest of the request, None where no key came.

    Not for a route that streams its body: this reads it whole. The digest is keyed, since a body may be guessed.
    The key is hidden: what a client puts into it is stored nowhere.
    """
    if key is None:
        return None
    principal = await principal_of(request)
    route = getattr(request.scope.get("route"), "path", "")
    parts = (request.method, route, request.scope["path"], request.url.query)
    content = "\n".join(parts).encode() + b"\n" + await request.body()
    secret: bytes = request.app.state.digest_key()
    digest = hmac.digest(secret, content, "sha256").hex()
    return IdempotencyKey(principal.organisation if principal else "", hidden(secret, key), digest)


def hidden(secret: bytes, key: str) -> str:
    """A client's idempotency key as it may be stored, 64 hex: it may hold a customer's number, or anything."""
    return hmac.digest(secret, b"idempotency-key\n" + key.encode(), "sha256").hex()


Idempotency = Annotated[IdempotencyKey | None, Depends(idempotency)]
