"""Who is asking, before anything else of a request counts: its trace, its body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from re import Pattern
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from services.chassis.auth import Requires, principal_of
from services.chassis.problems import Problem
from services.chassis.sessions import sends_form, session_required

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
Check = Callable[[Request], Awaitable[Any]]


class _Guarded(NamedTuple):
    """A route that takes a body, and what it asks of who calls it."""

    path: Pattern[str]
    methods: frozenset[str]
    route: Any
    checks: tuple[Check, ...]


class Gate:
    """Asks for token and scope before the body is read: who may not come in is not told what is wrong with it.

    FastAPI reads the body first. A form is left to the route, which looks for the CSRF token in it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._guarded: tuple[_Guarded, ...] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass the request on."""
        refusal = await self._refusal(scope) if scope.get("method") in _WITH_BODY else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refusal.response()(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Problem | None:
        request = Request(scope)
        found = self._find(scope)
        if found is None or sends_form(request):
            return None
        try:
            for check in found.checks:
                await check(request)
        except Problem as problem:
            scope["route"] = found.route
            return problem
        except Exception:  # noqa: BLE001 - the route meets it again, and there it is answered
            return None
        return None

    def _find(self, scope: Scope) -> _Guarded | None:
        if self._guarded is None:
            self._guarded = tuple(_guarded(scope["app"].routes))
        fitting = (each for each in self._guarded if scope["method"] in each.methods)
        return next((each for each in fitting if each.path.match(scope["path"])), None)


async def known(request: Request) -> bool:
    """Whether somebody who may come in is asking; reads headers alone."""
    if sends_form(request):
        return False
    try:
        return await principal_of(request) is not None
    except Exception:  # noqa: BLE001 - the route meets it again, and there it is answered
        return False


def _guarded(routes: Any) -> Iterator[_Guarded]:
    for context in iter_route_contexts(routes):
        methods = _WITH_BODY.intersection(context.methods or ())
        if methods:
            checks = tuple(_checks(context.dependant))
            yield _Guarded(compile_path(context.path or "")[0], methods, context.original_route, checks)


def _checks(dependant: Dependant) -> Iterator[Check]:
    for needed in dependant.dependencies:
        if isinstance(needed.call, Requires):
            yield needed.call.check
        elif needed.call is session_required:
            yield session_required
        yield from _checks(needed)
