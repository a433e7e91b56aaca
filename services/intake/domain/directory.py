"""What intake keeps of the directory: organisations (who may send, who may look) and services (fitting help)."""

from __future__ import annotations

from typing import Any

from hulpketen_contracts import Decoded

from services.chassis.pipeline.model import Context, Decision, State


def follow(_: State | None, event: Decoded, __: Context) -> Decision:
    """The latest entry of an organisation or a service; reference data, so it replaces what was there."""
    entry: dict[str, Any] = event.data.model_dump(mode="json")
    return Decision(entry)


def offer(service: State) -> dict[str, Any]:
    """A service as the financial test shows it."""
    return {
        name: service[name] for name in ("service", "organisation", "name", "description", "kind", "capacity", "url")
    }
