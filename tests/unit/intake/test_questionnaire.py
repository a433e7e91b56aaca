"""The questionnaires: whole, in two languages, and scored as they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake import questionnaire_files
from services.intake.domain.questionnaire import EXITS, Question, Questionnaire, complaints, further, parse, score

VERSIONS = questionnaire_files.load()
CURRENT = list(VERSIONS.values())[-1]


def answers(questionnaire: Questionnaire) -> st.SearchStrategy[dict[str, list[str]]]:
    def of(question: Question) -> st.SearchStrategy[list[str]]:
        ids = st.sampled_from([option.id for option in question.options])
        return st.lists(ids, min_size=1, max_size=len(question.options) if question.multiple else 1, unique=True)

    return st.fixed_dictionaries({question.id: of(question) for question in questionnaire.questions})


@given(answers(CURRENT))
def test_every_way_through_has_an_exit_and_texts(given_answers: dict[str, list[str]]) -> None:
    assert complaints(CURRENT, given_answers) == []
    outcome = score(CURRENT, given_answers)
    assert outcome.exit in CURRENT.exits
    assert all(code in CURRENT.reasons for code in outcome.reasons)
    if outcome.crisis:
        assert outcome.exit == CURRENT.threatening_exit


@given(answers(CURRENT), st.data())
def test_a_heavier_answer_never_leads_to_lighter_help(given_answers: dict[str, list[str]], data: st.DataObject) -> None:
    question = data.draw(st.sampled_from([q for q in CURRENT.questions if not q.multiple]))
    before = next(option for option in question.options if option.id == given_answers[question.id][0])
    heavier = [o for o in question.options if o.points >= before.points and (o.at_least or not before.at_least)]
    after = given_answers | {question.id: [data.draw(st.sampled_from(heavier)).id]}
    assert EXITS.index(score(CURRENT, after).exit) >= EXITS.index(score(CURRENT, given_answers).exit)


@pytest.mark.parametrize("exit", EXITS)
def test_each_exit_can_be_reached(exit: str) -> None:
    light = {question.id: [question.options[0].id] for question in CURRENT.questions}
    ways = {
        "zelfhulp": {},
        "digitale-vrijwilliger": {"overview": ["no"]},
        "lokale-vrijwilliger-of-professional": {"arrears": ["many"]},
        "gemeentelijke-schuldhulpverlening": {"bailiff": ["seizure"]},
    }
    assert score(CURRENT, light | ways[exit]).exit == exit


@pytest.mark.parametrize("version", VERSIONS.values(), ids=list(VERSIONS))
def test_each_version_is_whole(version: Questionnaire) -> None:
    assert parse(version.model_dump_json(by_alias=True).encode()) == version
    assert len({question.id for question in version.questions}) == len(version.questions)
    for question in version.questions:
        assert len({option.id for option in question.options}) == len(question.options)
    threatening = [option for question in version.questions for option in question.options if option.threatening]
    assert len(threatening) >= 3


def test_a_questionnaire_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no text"):
        parse(CURRENT.model_copy(update={"reasons": {}}).model_dump_json(by_alias=True).encode())
    with pytest.raises(ValueError, match="exit"):
        parse(CURRENT.model_copy(update={"scoring": ()}).model_dump_json(by_alias=True).encode())


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_whatever_is_sent_is_looked_at_without_an_error(value: object) -> None:
    for sent in (value, {"questionnaire": value, "answers": value}, {"answers": {"bills": value, "": value}}):
        further(VERSIONS, sent)
