"""Settings of a service whose database and broker nobody asks for anything."""

from __future__ import annotations

from pathlib import Path

from services.chassis.section import Section
from services.chassis.settings import ChassisSettings
from tests.unit.chassis.issuer import AUDIENCE, ISSUER


def unconnected(folder: Path, **sections: Section) -> ChassisSettings:
    """With keys below `folder`; `sections` by name, in the place of the usual ones."""
    usual = {
        "service": {},
        "http": {},
        "kafka": {"bootstrap": "127.0.0.1:1"},
        "mongo": {"uri": "mongodb://127.0.0.1:1", "database": "test"},
        "auth": {"issuer": ISSUER, "audience": AUDIENCE},
        "telemetry": {},
        "keys": {"file": folder / "keys" / "test.json"},
        "log": {},
        "pipeline": {},
    }
    return ChassisSettings.model_validate(usual | sections)
