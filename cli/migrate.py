"""`hulpketen migrate`: brings the databases of services to the version of this program, while they run."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel, SecretStr

from cli.options import DATA, Data
from deploy.local.errors import StackError
from deploy.local.folder import running_stack
from deploy.local.services import database_of
from services.chassis.section import FOLDER, USUAL
from services.chassis.settings import MongoSettings, load
from services.intake.settings import IntakeSettings

if TYPE_CHECKING:
    from services.chassis.mongo.migrations import Plan
    from services.chassis.mongo.schema import Schema

# An index of much data is built in minutes.
_PATIENCE_MS = 120_000


class Name(StrEnum):
    """The services."""

    INTAKE = "intake"
    MATCHING = "matching"
    NOTIFICATIONS = "notifications"
    AUDIT = "audit"


class _Environment(BaseModel):
    mongo: MongoSettings


class _Intake(BaseModel):
    intake: IntakeSettings


def migrate(
    service: Annotated[Name | None, typer.Option(help="This service alone.", show_default=False)] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what is to be done, and all indexes.")] = False,
    drop_indexes: Annotated[
        bool, typer.Option("--drop-indexes", help="Drop indexes that are in no list of the program's.")
    ] = False,
    data: Data = DATA,
) -> None:
    """Make the indexes of the services' databases, and take the steps to the program's version. They may go on.

    Where MONGO_URI and MONGO_DATABASE are set, as a service itself reads them: that of the service that you name.
    Else those of the chain that runs on the data folder.

    Example: [bold]hulpketen migrate --plan[/bold]
    """
    for name, settings in _databases(service, data).items():
        asyncio.run(_migrate(name, settings, only_plan=plan, drop=drop_indexes))


def _databases(service: Name | None, data: Path) -> Mapping[Name, MongoSettings]:
    if "MONGO_URI" in os.environ or Path(os.environ.get(FOLDER) or USUAL, "mongo_uri").is_file():
        if service is None:
            raise StackError("MONGO_URI is set: say with --service whose database it is")
        return {service: load(_Environment).mongo}
    uri = SecretStr(running_stack(data)["mongo"])
    names = [service] if service else list(Name)
    return {name: MongoSettings(uri=uri, database=database_of(name)) for name in names}


async def _migrate(name: Name, settings: MongoSettings, *, only_plan: bool, drop: bool) -> None:
    # The driver and the stores take a while to import: the other commands do without.
    from pymongo.errors import PyMongoError  # noqa: PLC0415

    from services.chassis.mongo.database import connect  # noqa: PLC0415
    from services.chassis.mongo.migrations import Migrator  # noqa: PLC0415
    from services.chassis.pipeline.errors import StoreUnavailable  # noqa: PLC0415
    from services.chassis.preflight import NotReady, reason_of  # noqa: PLC0415

    schema = _schema(name)
    client = connect(settings, command_ms=_PATIENCE_MS)
    try:
        migrator = Migrator(client[settings.database], schema, holder=f"migrate-{uuid.uuid4()}")
        plan = await migrator.plan()
        if only_plan:
            _show(name, plan, schema, drop=drop)
            return
        await migrator.migrate(lambda step: print(f"{name}: version {step.version}, {step.what}"), drop=drop)
        made, dropped = len(plan.indexes.missing) + len(plan.indexes.changed), len(plan.indexes.unknown)
        left = f"; {dropped} {'dropped' if drop else 'in no list (--plan names them)'}" if dropped else ""
        print(f"{name}: version {max(plan.version, schema.version)}; indexes: {made} made{left}")
    except (NotReady, StoreUnavailable, PyMongoError) as error:
        what = error if isinstance(error, NotReady | StoreUnavailable) else reason_of(error) or type(error).__name__
        raise StackError(f"{name}: {what}") from error
    finally:
        client.close()


def _schema(name: Name) -> Schema:
    from services.audit import store as audit  # noqa: PLC0415
    from services.intake import store as intake  # noqa: PLC0415
    from services.matching import store as matching  # noqa: PLC0415
    from services.notifications import store as notifications  # noqa: PLC0415

    if name is Name.INTAKE:
        return intake.schema(timedelta(hours=load(_Intake).intake.delivery_key_hours))
    others = {Name.MATCHING: matching.SCHEMA, Name.NOTIFICATIONS: notifications.SCHEMA, Name.AUDIT: audit.SCHEMA}
    return others[name]


def _show(name: Name, plan: Plan, schema: Schema, *, drop: bool) -> None:
    """A line for each thing: what is to be done, and each index that is there, with what it is for."""
    print(f"{name}: version {plan.version} of {schema.version}")
    for step in plan.steps:
        print(f"  step    {step.version}: {step.what}")
    changed = [index for index, _ in plan.indexes.changed]
    for index in sorted(schema.indexes, key=str):
        state = "make" if index in plan.indexes.missing else "change" if index in changed else "there"
        print(f"  {state:7} {index}{' unique' if index.unique else ''}: {index.serves}")
    for found in plan.indexes.unknown:
        print(f"  {'drop' if drop else 'unknown':7} {found}: in no list")
