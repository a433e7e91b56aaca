"""The financial test (financiële test), and the choice that a resident makes after it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hulpketen_contracts.event import Event
from hulpketen_contracts.values import Code, ConfirmedBy, Exit, Id, Municipality, OrganisationId, ServiceId


class TestCompleted(Event):
    """Somebody took the test; nobody knows who."""

    __test__: ClassVar[bool] = False

    TYPE = "nl.hulpketen.tests.completed.v1"
    TOPIC = "signals"
    KEY = "test"

    test: Id
    municipality: Municipality
    questionnaire: Code
    exit: Exit
    reasons: Annotated[list[Code], Field(max_length=50)]


class ChoiceConfirmed(Event):
    """A resident chose help after the test, and was shown to be that resident, or a professional vouched."""

    TYPE = "nl.hulpketen.tests.choice-confirmed.v1"
    TOPIC = "signals"
    KEY = "person"
    ACTIVITY = "confirm-choices"

    test: Id
    person: Id
    municipality: Municipality
    service: ServiceId
    exit: Exit
    crisis: bool
    confirmed_by: ConfirmedBy
    confirmed_by_organisation: OrganisationId | None = None
