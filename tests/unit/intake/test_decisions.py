"""The decisions about a signal and a choice: each from a state and a command, doing it again included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hulpketen_contracts import ChoiceConfirmed, SignalReceived, SignalRefused, SignalWithdrawn

from services.chassis.pipeline.model import Context, Decide, Decision
from services.intake.domain import choice
from services.intake.domain.choice import CodeRules, NotNow
from services.intake.domain.questionnaire import Outcome
from services.intake.domain.signal import (
    ContentDiffers,
    NotPossible,
    SignalIn,
    Taking,
    receive,
    refuse,
    settle,
    withdraw,
)
from services.intake.taking import signal_id

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIGNAL = "11111111-1111-4111-8111-111111111111"
PERSON, OTHER = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
CONTENT = SignalIn.model_validate_json(
    '{"reference":"k","municipality":"0106","partnerType":"Huur","client":{"bsn":"999991000"}}', context={}
)


def run(decide: Decide, state: dict[str, Any] | None, at: datetime = NOW) -> Decision | None:
    return decide(state, Context(at, "cause"))


def done(decide: Decide, state: dict[str, Any] | None, at: datetime = NOW) -> Decision:
    decision = run(decide, state, at)
    assert decision is not None
    return decision


def taking(digest: str = "d", candidates: tuple[str, ...] = ()) -> Decide:
    return receive(Taking(SIGNAL, "huur-voorbeeld", CONTENT, digest, PERSON, b"sealed", candidates))


def test_a_signal_is_received_once() -> None:
    decision = done(taking(), None)
    (emit,) = decision.events
    assert isinstance(emit.event, SignalReceived)
    assert emit.event.signalled_on == NOW.date()
    assert run(taking(), decision.state) is None
    with pytest.raises(ContentDiffers):
        run(taking("other"), decision.state)
    assert run(refuse(SIGNAL, "huur-voorbeeld", "0106", ["unknown-sender"]), decision.state) is None


def test_a_refusal_is_told_once_and_can_be_overcome() -> None:
    decide = refuse(SIGNAL, "huur-voorbeeld", "0106", ["no-legal-basis"])
    decision = done(decide, None)
    assert isinstance(decision.events[0].event, SignalRefused)
    assert run(decide, decision.state) is None
    assert done(refuse(SIGNAL, "huur-voorbeeld", "0106", ["unknown-sender"]), decision.state).events
    assert isinstance(done(taking(), decision.state).events[0].event, SignalReceived)


def test_a_conflict_says_nothing_until_it_is_settled() -> None:
    conflict = done(taking(candidates=(PERSON, OTHER)), None)
    assert conflict.events == ()
    settled = done(settle(OTHER, "second", b"again"), conflict.state)
    event = settled.events[0].event
    assert isinstance(event, SignalReceived)
    assert event.person == OTHER
    assert run(settle(OTHER, "second", b""), settled.state) is None
    with pytest.raises(NotPossible):
        run(settle(PERSON, "first", b""), settled.state)


def test_withdrawing() -> None:
    received = done(taking(), None)
    withdrawn = done(withdraw("paid"), received.state)
    assert isinstance(withdrawn.events[0].event, SignalWithdrawn)
    assert run(withdraw("paid"), withdrawn.state) is None
    conflict = done(taking(candidates=(PERSON, OTHER)), None)
    assert done(withdraw("paid"), conflict.state).events == ()
    for state in (None, done(refuse(SIGNAL, "x", "0106", ["unknown-sender"]), None).state):
        with pytest.raises(NotPossible):
            run(withdraw("paid"), state)


def test_the_id_of_a_signal_needs_the_key() -> None:
    ids = {signal_id(key, org, ref) for key in (b"k", b"l") for org in ("a", "b") for ref in ("1", "2")}
    assert len(ids) == 8
    assert signal_id(b"k", "a", "1") == signal_id(b"k", "a", "1")


RULES = CodeRules(timedelta(minutes=15), 3)
TEST = done(choice.complete(SIGNAL, "0106", "2026-1", Outcome("zelfhulp", (), 0, False)), None).state


def chosen() -> dict[str, Any]:
    return dict(done(choice.choose(TEST, "maatje", PERSON, "d"), None).state)


def with_code(code: str = "h") -> dict[str, Any]:
    issued = done(choice.issue_code(code, RULES), chosen())
    assert issued.answer is True
    return dict(done(choice.code_sent(code), issued.state).state)


def test_a_right_code_lets_the_resident_confirm() -> None:
    proved = done(choice.try_code("h", RULES), with_code())
    assert proved.answer == "right"
    confirmed = done(choice.confirm(OTHER, "resident", None), proved.state)
    event = confirmed.events[0].event
    assert isinstance(event, ChoiceConfirmed)
    assert (event.person, event.confirmed_by) == (OTHER, "resident")
    assert run(choice.confirm(OTHER, "resident", None), confirmed.state) is None
    for decide in (choice.try_code("h", RULES), choice.choose(TEST, "x", PERSON, "e")):
        with pytest.raises(NotNow):
            run(decide, confirmed.state)


def test_without_a_code_only_a_professional_confirms() -> None:
    with pytest.raises(NotNow):
        run(choice.confirm(OTHER, "resident", None), chosen())
    assert done(choice.confirm(OTHER, "professional", "gemeente-assen"), chosen()).events


def test_a_code_ends_by_time_tries_and_another_choice() -> None:
    state = with_code()
    with pytest.raises(NotNow):
        run(choice.try_code("h", RULES), state, NOW + timedelta(minutes=15))
    for _ in range(3):
        state = dict(done(choice.try_code("wrong", RULES), state).state)
    with pytest.raises(NotNow):
        run(choice.try_code("h", RULES), state)
    other = done(choice.choose(TEST, "ander", OTHER, "e"), with_code()).state
    with pytest.raises(NotNow):
        run(choice.try_code("h", RULES), other)


def test_a_proof_does_not_carry_over_to_another_choice() -> None:
    proved = done(choice.try_code("h", RULES), with_code()).state
    other = done(choice.choose(TEST, "ander", OTHER, "e"), proved).state
    with pytest.raises(NotNow):
        run(choice.confirm(OTHER, "resident", None), other)


def test_codes_are_few_and_one_that_was_not_sent_cannot_be_entered() -> None:
    state = chosen()
    for n in range(choice.MOST_CODES):
        state = dict(done(choice.issue_code(f"h{n}", RULES), state).state)
    assert run(choice.issue_code("h9", RULES), state) is None
    assert run(choice.code_sent("h0"), state) is None
    with pytest.raises(NotNow):
        run(choice.try_code("h2", RULES), state)


def test_a_new_code_is_due_when_the_last_may_have_been_missed() -> None:
    assert choice.wants_code(chosen(), NOW, RULES)
    assert not choice.wants_code(with_code(), NOW + timedelta(seconds=59), RULES)
    assert choice.wants_code(with_code(), NOW + timedelta(seconds=60), RULES)


def test_a_test_whose_key_was_forgotten_is_answered_as_before() -> None:
    again = done(choice.complete(SIGNAL, "0106", "2026-1", Outcome("zelfhulp", (), 0, False)), TEST)
    assert (again.answer, again.events) == (TEST, ())
