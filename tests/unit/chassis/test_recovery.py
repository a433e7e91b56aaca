"""An aggregate of a backup, brought to where its own events say that it had come."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

from hulpketen_contracts import DeadlineApproaching, Decoded, Envelope, PersonErased, Position, SignalRefused

from services.chassis.pipeline.draft import Draft, KeyMemory, Step
from services.chassis.pipeline.model import Context, Decision, Emit, State, name_id
from services.chassis.pipeline.recovery import Input, recover

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
FILE, PERSON = "file-1", "00000000-0000-4000-8000-000000000001"
SOURCE = "urn:nld:oin:00000099000000000001:systeem:hulpketen-matching"


def told(label: str) -> DeadlineApproaching:
    return DeadlineApproaching(case=PERSON, person=PERSON, municipality="0106", clock=label, due_on=date(2026, 3, 1))


def decide(state: State | None, event: Decoded, _: Context) -> Decision:
    """Each signal is remembered whole, and told of unless it says not to."""
    label = str(getattr(event.data, "reasons", ["?"])[0])
    state = {"signals": [*(state or {}).get("signals", []), label], "told": [*(state or {}).get("told", [])]}
    if label.startswith("silent"):
        return Decision(state)
    return Decision(state | {"told": [*state["told"], label]}, [Emit(told(label))])


def reflect(state: State | None, event: Decoded) -> State:
    """An event tells of its label, and nothing of signals."""
    before = state or {"signals": [], "told": []}
    label = getattr(event.data, "clock", "?")
    return before if label in before["told"] else before | {"told": [*before["told"], label]}


def event(data: Any, stream: str, seq: int, cause: str = "", epoch: int = 1) -> Decoded:
    id = name_id(f"{cause}|{data.TYPE}|{stream}|0") if cause else str(uuid.uuid4())
    return Decoded(Envelope(id, SOURCE, data.TYPE, AT, stream=stream, streamepoch=epoch, streamseq=seq), data)


def signal(label: str, stream: str = "signal-1", seq: int = 1) -> Decoded:
    return event(SignalRefused(signal=PERSON, sender="sender", reasons=[label]), stream, seq)


def document(**fields: Any) -> dict[str, Any]:
    return {"_id": FILE, "v": 3, "epoch": 1, "seq": 0, "state": None, "in": {}, "outbox": [], **fields}


def test_what_an_input_caused_is_decided_again_and_what_a_command_caused_is_taken_over() -> None:
    first, second = signal("a"), signal("b", "signal-2")
    own = [
        event(told("a"), FILE, 1, first.envelope.id),
        event(told("by-hand"), FILE, 2),
        event(told("b"), FILE, 3, second.envelope.id),
    ]
    found = recover(document(), own, [Input(second, decide), Input(first, decide)], reflect)
    assert found["state"] == {"signals": ["a", "b"], "told": ["a", "by-hand", "b"]}
    assert (found["epoch"], found["seq"], found["v"], found["outbox"]) == (1, 3, 4, [])
    assert found["in"] == {"signal-1": [1, 1], "signal-2": [1, 1]}


def test_what_came_before_in_its_stream_and_was_not_told_of_is_decided_first() -> None:
    silent, loud = signal("silent"), signal("loud", seq=2)
    own = [event(told("loud"), FILE, 1, loud.envelope.id)]
    found = recover(document(), own, [Input(silent, decide), Input(loud, decide)], reflect)
    assert found["state"]["signals"] == ["silent", "loud"]
    assert found["in"] == {"signal-1": [1, 2]}


def test_an_input_that_no_event_tells_of_is_left_for_the_consumer() -> None:
    never = signal("never", "signal-9")
    found = recover(document(), [event(told("by-hand"), FILE, 1)], [Input(never, decide)], reflect)
    assert (found["in"], found["state"]["signals"]) == ({}, [])


def test_what_it_knows_it_does_not_take_twice() -> None:
    known = signal("a")
    own = [event(told("a"), FILE, 1, known.envelope.id), event(told("later"), FILE, 2)]
    before = document(seq=1, state={"signals": ["a"], "told": ["a"]}, **{"in": {"signal-1": [1, 1]}})
    found = recover(before, own, [Input(known, decide)], reflect)
    assert found["state"] == {"signals": ["a"], "told": ["a", "later"]}
    assert recover(found, own, [Input(known, decide)], reflect)["state"] == found["state"]
    assert before["in"] == {"signal-1": [1, 1]}


def test_a_decision_that_fails_now_leaves_what_its_event_tells() -> None:
    given = signal("a")

    def fails(*_: Any) -> Decision:
        raise ValueError

    found = recover(document(), [event(told("a"), FILE, 1, given.envelope.id)], [Input(given, fails)], reflect)
    assert (found["state"]["told"], found["in"]) == (["a"], {"signal-1": [1, 1]})


def test_who_was_erased_stays_so() -> None:
    def erases(*_: Any) -> Decision:
        return Decision({}, [Emit(told("gone"))], erase=True)

    gone = event(PersonErased(person=PERSON), "person-1", 1)
    own = [event(told("gone"), FILE, 1, gone.envelope.id), event(told("later"), FILE, 2)]
    found = recover(document(state={"signals": ["a"], "told": []}), own, [Input(gone, erases)], reflect)
    assert (found["state"], found["seq"]) == (None, 2)
    assert found["erased"] == AT
    assert recover(found, own, [], reflect) == found


def test_a_new_epoch_follows_any_place_of_an_older_one_also_where_its_first_was_skipped() -> None:
    def take(epoch: int, seq: int, skipped: frozenset[Position]) -> Any:
        stored = document(**{"in": {"signal-1": [1, 12]}})
        step = Step("cause", lambda state, _: Decision({}), position=Position("signal-1", epoch, seq))
        outcome = Draft(FILE, stored, AT, SOURCE, KeyMemory()).run([step], {}, skipped)
        return outcome.document["in"]["signal-1"], len(outcome.park)

    assert take(50, 1, frozenset()) == ([50, 1], 0)
    assert take(50, 2, frozenset()) == ([1, 12], 1)
    assert take(50, 2, frozenset({Position("signal-1", 50, 1)})) == ([50, 2], 0)
    assert take(1, 13, frozenset({Position("signal-1", 1, 13)})) == ([1, 13], 0)
