"""The four services as applications that nothing was started of: what they route, and whom they let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi.routing import iter_route_contexts

from services.audit.main import build as audit
from services.audit.settings import Settings as AuditSettings
from services.chassis.auth import TokenVerifier
from services.chassis.issuer import Issuer
from services.chassis.web import App
from services.intake.main import build as intake
from services.intake.settings import Settings as IntakeSettings
from services.matching.main import build as matching
from services.matching.settings import Settings as MatchingSettings
from services.notifications.main import build as notifications
from services.notifications.settings import Settings as NotificationsSettings
from tests.unit.chassis.issuer import ISSUER, TestIssuer

_MAIN: dict[str, tuple[Any, Callable[[Any], App]]] = {
    "intake": (IntakeSettings, intake),
    "matching": (MatchingSettings, matching),
    "notifications": (NotificationsSettings, notifications),
    "audit": (AuditSettings, audit),
}
_OWN: dict[str, dict[str, str]] = {
    "notifications": {
        "matching_url": "http://matching.test",
        "intake_url": "http://intake.test",
        "audit_url": "http://audit.test",
        "public_url": "http://board.test",
        "client_id": "board",
        "client_secret": "secret",
    }
}

_SECTIONS: dict[str, dict[str, dict[str, str]]] = {
    "audit": {"page": {"public_url": "http://audit.test", "client_id": "board", "client_secret": "secret"}},
}


def applications(folder: Path, issuer: TestIssuer) -> dict[str, App]:
    """Each service by its name, with keys below `folder`; tokens of `issuer` are theirs. Needs an event loop."""
    return {name: _application(name, folder, issuer) for name in _MAIN}


def _application(name: str, folder: Path, issuer: TestIssuer) -> App:
    settings, build = _MAIN[name]
    chosen = settings.model_validate(
        {
            "service": {},
            "http": {},
            "kafka": {"bootstrap": "127.0.0.1:1"},
            "mongo": {"uri": "mongodb://127.0.0.1:1", "database": name},
            "auth": {"issuer": ISSUER, "audience": name},
            "telemetry": {},
            "keys": {"file": folder / f"{name}.json"},
            "log": {},
            "pipeline": {},
            name: _OWN.get(name, {}),
        }
        | _SECTIONS.get(name, {})
    )
    app = build(chosen)
    app.state.verifier = TokenVerifier(Issuer(chosen.auth, issuer.transport))
    # Else every route says that it is not ready, whoever asks.
    app.state.runtime.catch_up.done = True
    return app


def routes(app: App) -> Iterator[tuple[str, str]]:
    """Method and path, as they are declared, of all that it answers."""
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            yield method, route.path or ""
