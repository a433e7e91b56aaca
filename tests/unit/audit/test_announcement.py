"""What is announced of the trail: each proof begins where the last ended, and nothing shrinks."""

from __future__ import annotations

from base64 import b64encode

from hulpketen_contracts import CheckpointPublished, Decoded

from services.audit.domain.announcement import Signed, announce, announced, reflect
from tests.contracts.samples import envelope_for

ORIGIN = "hulpketen.example/audit/1"
HASH = b64encode(bytes(32)).decode()


def signed(size: int, origin: str = ORIGIN) -> Signed:
    return Signed(origin, size, f"{origin}\n{size}\n{HASH}\n\n— {origin} AAAA\n")


def test_the_first_announcement_has_nothing_to_show() -> None:
    assert announced(None, ORIGIN) == 0
    decision = announce(None, signed(5), 0, [])
    assert decision is not None
    (emitted,) = decision.events
    assert emitted.event == CheckpointPublished(size=5, previous_size=0, checkpoint=signed(5).text, proof=[])
    assert announced(decision.state, ORIGIN) == 5


def test_the_next_goes_on_from_it() -> None:
    state = {"origin": ORIGIN, "size": 5}
    decision = announce(state, signed(9), 5, [HASH])
    assert decision is not None
    (emitted,) = decision.events
    assert isinstance(emitted.event, CheckpointPublished)
    assert (emitted.event.previous_size, emitted.event.proof) == (5, [HASH])
    assert announced(decision.state, ORIGIN) == 9


def test_nothing_is_told_that_another_process_told_meanwhile_and_nothing_shrinks() -> None:
    state = {"origin": ORIGIN, "size": 9}
    assert announce(state, signed(12), 5, [HASH]) is None
    assert announce(state, signed(9), 9, []) is None
    assert announce(state, signed(7), 9, []) is None


def test_a_new_log_begins_anew() -> None:
    decision = announce({"origin": ORIGIN, "size": 9}, signed(1, "hulpketen.example/audit/2"), 0, [])
    assert decision is not None
    assert announced(decision.state, ORIGIN) == 0
    assert announced(decision.state, "hulpketen.example/audit/2") == 1


def test_an_event_that_is_found_again_tells_the_state_that_it_led_to() -> None:
    decision = announce(None, signed(5), 0, [])
    assert decision is not None
    event = decision.events[0].event
    assert reflect(None, Decoded(envelope_for(event), event)) == decision.state
