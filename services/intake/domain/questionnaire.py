"""The financial test: a questionnaire as data, and its scoring in the open. Anonymous: answers are never stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from hulpketen_contracts.values import Exit
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from services.intake.domain.checks import Body, Municipality

# The four exits of the Nederlandse Schuldhulproute, lightest help first.
EXITS: tuple[Exit, ...] = (
    "zelfhulp",
    "digitale-vrijwilliger",
    "lokale-vrijwilliger-of-professional",
    "gemeentelijke-schuldhulpverlening",
)


class _Data(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Text(_Data):
    """Resident-facing text, at language level B1: Dutch, with English beside it."""

    nl: str
    en: str


class Option(_Data):
    """An answer. `reason` is given with the outcome; `at_least` is the lightest exit that it allows."""

    id: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    text: Text
    points: int = Field(0, ge=0, le=10)
    reason: str | None = None
    at_least: Exit | None = None
    threatening: bool = False


class Question(_Data):
    """One question; several answers may be given where `multiple` is set."""

    id: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    text: Text
    help: Text | None = None
    multiple: bool = False
    options: tuple[Option, ...] = Field(min_length=2)


class Step(_Data):
    """From this many points on, this exit."""

    points: int = Field(ge=0)
    exit: Exit


class Questionnaire(_Data):
    """A version of the test; versions never change once they are in use."""

    version: str = Field(pattern=r"^\d{4}-\d+$")
    title: Text
    questions: tuple[Question, ...]
    scoring: tuple[Step, ...]
    threatening_exit: Exit
    reasons: dict[str, Text]
    exits: dict[Exit, Text]


class TestIn(Body):
    """A filled-in test: per question the ids of the answers."""

    __test__ = False

    questionnaire: Annotated[str, Field(max_length=20)]
    municipality: Municipality
    answers: Annotated[dict[str, Annotated[list[str], Field(max_length=20)]], Field(max_length=50)]


class Outcome(NamedTuple):
    """The exit, the codes of the reasons, the points, and whether the situation threatens."""

    exit: Exit
    reasons: tuple[str, ...]
    points: int
    crisis: bool


def complaints(questionnaire: Questionnaire, answers: Mapping[str, list[str]]) -> list[tuple[str, str, str]]:
    """What is wrong with these answers, all at once: (pointer, code, message); nothing of what was sent is repeated."""
    known = {question.id: question for question in questionnaire.questions}
    found: list[tuple[str, str, str]] = []
    if answers.keys() - known.keys():
        found.append(("/answers", "unknown-question", "Holds a question that is not in this questionnaire"))
    for question in questionnaire.questions:
        given, pointer = answers.get(question.id, []), f"/answers/{question.id}"
        if not given:
            found.append((pointer, "missing", "Needs an answer"))
        elif set(given) - {option.id for option in question.options} or len(set(given)) != len(given):
            found.append((pointer, "unknown-answer", "Holds an answer that is not among the options, or one twice"))
        elif len(given) > 1 and not question.multiple:
            found.append((pointer, "one-answer", "Takes one answer"))
    return found


def further(questionnaires: Mapping[str, Questionnaire], sent: Any) -> list[tuple[str, str, str]]:
    """What is wrong with a filled-in test beyond the form of its fields, as `complaints` has it; `sent` is any JSON.

    Answers to a version that is not known are held against the current one, the last of `questionnaires`.
    """
    if not isinstance(sent, dict):
        return []
    version, answers = sent.get("questionnaire"), sent.get("answers")
    questionnaire = questionnaires.get(version) if isinstance(version, str) else None
    found: list[tuple[str, str, str]] = []
    if isinstance(version, str) and questionnaire is None:
        found.append(("/questionnaire", "unknown-version", "Is not a version of the questionnaire"))
    if isinstance(answers, dict):
        readable = {name: given if _are_texts(given) else [] for name, given in answers.items()}
        unreadable = {f"/answers/{name}" for name, given in answers.items() if not _are_texts(given)}
        wrong = complaints(questionnaire or list(questionnaires.values())[-1], readable)
        found += [each for each in wrong if each[0] not in unreadable]
    return found


def _are_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(each, str) for each in given)


def score(questionnaire: Questionnaire, answers: Mapping[str, list[str]]) -> Outcome:
    """Add the points of all answers; the highest step that is reached gives the exit.

    An answer may ask for at least some exit, and a threatening situation overrides all. `answers` has no complaints.
    """
    chosen = [
        option
        for question in questionnaire.questions
        for option in question.options
        if option.id in answers[question.id]
    ]
    points = sum(option.points for option in chosen)
    crisis = any(option.threatening for option in chosen)
    reached = [step.exit for step in questionnaire.scoring if points >= step.points]
    asked = [option.at_least for option in chosen if option.at_least]
    heaviest = max((*reached, *asked), key=EXITS.index, default=EXITS[0])
    reasons = tuple(dict.fromkeys(option.reason for option in chosen if option.reason))
    return Outcome(questionnaire.threatening_exit if crisis else heaviest, reasons, points, crisis)


def parse(content: bytes) -> Questionnaire:
    """Read a questionnaire; raises ValueError where its parts do not fit each other."""
    questionnaire = Questionnaire.model_validate_json(content)
    options = [option for question in questionnaire.questions for option in question.options]
    if any(option.reason and option.reason not in questionnaire.reasons for option in options):
        raise PydanticCustomError("reasons", "an answer gives a reason that has no text")
    if set(questionnaire.exits) != set(EXITS) or not any(step.points == 0 for step in questionnaire.scoring):
        raise PydanticCustomError("exits", "an exit has no text, or zero points lead nowhere")
    return questionnaire
