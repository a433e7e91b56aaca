"""Kafka in: which events feed a person's file, and what follows from each."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from hulpketen_contracts import (
    ChoiceConfirmed,
    Decoded,
    PersonErased,
    PersonMerged,
    SignalReceived,
    SignalWithdrawn,
)

from services.chassis.pipeline.model import Context, Decision, Handler, Handlers, State
from services.matching.domain import cases, choices
from services.matching.domain.cases import World
from services.matching.domain.directory import Directory
from services.matching.domain.file import file_id
from services.matching.domain.policy import Policy

TOPIC = "signals"
AboutPerson = SignalReceived | SignalWithdrawn | ChoiceConfirmed | PersonMerged | PersonErased


def handlers(directory: Callable[[], Directory], policy: Policy) -> Handlers:
    """The handlers by type of event. `directory` gives the directory as it is now.

    What was completed of tests stands in streams of its own, which nothing here follows; that a signal was refused,
    before it was taken after all, stands in the signal's, and names no person.
    """

    def handler(decide: Callable[..., Decision | None], *, begins: bool = False) -> Handler:
        def decided(state: State | None, decoded: Decoded, context: Context) -> Decision | None:
            return decide(state, decoded.data, World(context, directory(), policy))

        return Handler(_file, decided, begins)

    return {
        SignalReceived: handler(cases.receive, begins=True),
        SignalWithdrawn: handler(cases.withdraw),
        ChoiceConfirmed: handler(choices.take),
        PersonMerged: handler(cases.merge),
        PersonErased: handler(cases.erase),
    }


def _file(decoded: Decoded) -> str:
    return file_id(cast(AboutPerson, decoded.data).person)
