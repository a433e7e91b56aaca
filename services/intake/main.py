"""The composition root of intake."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import httpx
from fastapi import APIRouter

from services.chassis.pipeline.model import Command
from services.chassis.service import Service, now
from services.chassis.settings import load
from services.chassis.web import App, create_app, serve
from services.intake import (
    api_choices,
    api_deliveries,
    api_households,
    api_identity,
    api_persons,
    api_signals,
    api_tests,
    pages,
    questionnaire_files,
)
from services.intake.choosing import Choices
from services.intake.domain.basis import parse_grants
from services.intake.domain.choice import CodeRules
from services.intake.domain.files import gone
from services.intake.domain.recovered import reflect
from services.intake.even_time import EvenTime
from services.intake.events import HANDLERS, TOPICS
from services.intake.messages import Gateway, HttpGateway
from services.intake.settings import IntakeSettings, Settings
from services.intake.store import IntakeStore, schema
from services.intake.taking import Desk
from services.intake.vault import Vault

LAPSE_EVERY_S = 3_600.0


def build(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> App:
    """The service as an application; it connects when it starts. `transport`: the way to the issuer and gateway."""
    database = schema(timedelta(hours=settings.intake.delivery_key_hours))
    service = Service("intake", settings, handlers=HANDLERS, topics=TOPICS, schema=database)
    store = IntakeStore(service.database)
    gateway = None
    if settings.intake.messages_url:
        gateway = HttpGateway(str(settings.intake.messages_url), settings.intake.messages_timeout_s, transport)
        service.on_stop(gateway.close)
    routers = _routers(service, store, gateway, settings.intake)
    return create_app("intake", runtime=service, settings=settings, routers=routers, transport=transport)


def _routers(service: Service, store: IntakeStore, gateway: Gateway | None, own: IntakeSettings) -> list[APIRouter]:
    vault = Vault(store, service.keys, now, own.key_period_days)
    desk = Desk(
        engine=service.engine,
        vault=vault,
        store=store,
        keys=service.keys,
        grants=parse_grants(own.legal_bases),
        clock=now,
    )
    code_rules = CodeRules(timedelta(minutes=own.code_minutes), own.code_attempts, own.codes_each_day)
    choices = Choices(
        engine=service.engine,
        vault=vault,
        store=store,
        looks=service.looks,
        gateway=gateway,
        code_rules=code_rules,
        keep_for=timedelta(days=own.choice_days),
        clock=now,
    )
    service.every("choices", LAPSE_EVERY_S, choices.lapse)

    async def erase(pseudonyms: Collection[str]) -> None:
        await vault.erase(pseudonyms)
        await service.engine.execute_many([Command(f"file-{each}", gone) for each in pseudonyms])

    service.catch_up.erase, service.catch_up.reflect = erase, reflect
    persons = api_persons.Persons(store, vault, service.engine, service.looks)
    tests = questionnaire_files.load()
    even_time = EvenTime(own.answer_step_ms / 1000)
    return [
        api_signals.routes(desk, service.engine, vault, store, service.looks, even_time),
        api_deliveries.routes(desk, store, own, now, even_time),
        api_persons.routes(persons),
        api_identity.routes(persons),
        api_households.routes(persons),
        api_tests.routes(service.engine, store, tests),
        api_choices.routes(store, choices),
        pages.routes(store, list(tests.values())[-1]),
    ]


def main() -> None:
    """Run the service until it is asked to stop."""
    settings = load(Settings)
    serve(build(settings), settings.http)
