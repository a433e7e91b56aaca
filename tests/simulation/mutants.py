"""The pipeline with one rule broken, for each of its rules: what the simulation must find out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from services.chassis.housekeeping import Housekeeper
from services.chassis.loops import BatchLoop
from services.chassis.pipeline import publisher as publishing
from services.chassis.pipeline.consumer import Consumer
from services.chassis.pipeline.draft import Draft
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.feed import FeedPublisher
from services.chassis.pipeline.incarnation import Incarnation
from services.chassis.pipeline.publisher import KafkaPublisher
from services.chassis.pipeline.relay import Relay, Republisher
from tests.simulation import broken_delivery as delivery
from tests.simulation import broken_streams as streams
from tests.simulation import memory_store
from tests.simulation.faults import Faults
from tests.simulation.memory_broker import MemoryProducer, MemorySubscriber
from tests.simulation.memory_rest import MemoryFeeds
from tests.simulation.memory_store import MemoryStore

Patch = Callable[[pytest.MonkeyPatch], None]

# Mixtures that make likely what seldom meets in the general one.
RACES = Faults(rebalance=0.1, stall=0.1, send_lost=0.3, send_late=0.2, reference=0.0, idle_s=0.3)
OUT_OF_ORDER = Faults(send_lost=0.2, send_late=0.3, reference=0.0, idle_s=3.0)
OUT_OF_ORDER_AND_BAD = Faults(
    rebalance=0.05, stall=0.05, send_lost=0.3, send_late=0.2, bad=("poison",), bad_share=0.4, reference=0.0
)
DEATHS = Faults(kill=0.01, unavailable=0.03, send_lost=0.3, send_late=0.2, reference=0.0, idle_s=0.3)
DEATHS_AND_LOSSES = Faults(
    kill=0.01, unavailable=0.02, lose_log=0.004, losses=100, ack_slow=0.3, reference=0.0, idle_s=0.8
)
LOSS_OF_REFERENCE_DATA = Faults(
    lose_log=0.003, losses=3, ack_slow=1.0, skip_leases=True, reference=1.0, idle_s=1.5, watch_s=0.2
)
SLOW_TO_COME_BACK = Faults(lose_log=0.003, losses=1, slow=0.8, ack_slow=0.7, reference=1.0, idle_s=1.5, watch_s=0.4)
LATE_TO_SEE_A_LOSS = Faults(
    lose_log=0.005, losses=3, skip_leases=True, send_lost=0.2, reference=0.0, idle_s=1.5, watch_s=4.0
)
LOSS_OF_BAD_RECORDS = Faults(
    lose_log=0.003, losses=2, garbage=0.03, bad=("corrupt",), bad_share=0.8, reference=0.0, idle_s=0.1, watch_s=4.0
)
LOSS_OF_HUGE_RECORDS = Faults(
    lose_log=0.005,
    losses=3,
    slow=0.5,
    skip_leases=True,
    bad=("huge",),
    bad_share=0.4,
    reference=0.0,
    idle_s=0.3,
    watch_s=1.5,
)
MIXTURES = {
    "races": RACES,
    "out of order": OUT_OF_ORDER,
    "out of order and bad": OUT_OF_ORDER_AND_BAD,
    "deaths": DEATHS,
    "deaths and losses": DEATHS_AND_LOSSES,
    "loss of reference data": LOSS_OF_REFERENCE_DATA,
    "slow to come back": SLOW_TO_COME_BACK,
    "late to see a loss": LATE_TO_SEE_A_LOSS,
    "loss of bad records": LOSS_OF_BAD_RECORDS,
    "loss of huge records": LOSS_OF_HUGE_RECORDS,
}


class Mutant(NamedTuple):
    """The rule that is broken, and how; `faults` for what goes wrong too seldom in the general mixture."""

    rule: str
    patch: Patch
    faults: Faults | None = None


def _set(owner: object, name: str, value: object) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner, name, value)

    return patch


MUTANTS = {
    "write whatever the version": Mutant(
        "every write is conditional", _set(MemoryStore, "_write_one", delivery.write_any), RACES
    ),
    "take a lost race as won": Mutant(
        "a lost race is decided again", _set(Engine, "_write", delivery.take_lost_races_as_won), RACES
    ),
    "publish own events only": Mutant("who writes publishes the whole outbox", _set(Engine, "take", delivery.take_own)),
    "clear past a failed send": Mutant(
        "acknowledged only when all before it are", _set(publishing, "_acknowledged", delivery.any_acknowledged)
    ),
    "clear, then keep": Mutant(
        "keep before clear", _set(KafkaPublisher, "publish", delivery.publisher(clear_first=True)), DEATHS_AND_LOSSES
    ),
    "incarnation as known after the send": Mutant(
        "the incarnation known before the send",
        _set(KafkaPublisher, "publish", delivery.publisher(incarnation_after=True)),
        SLOW_TO_COME_BACK,
    ),
    "clear what was written since": Mutant(
        "clear up to what was sent", _set(MemoryStore, "_clear_one", delivery.clear_all)
    ),
    "no relay": Mutant("the relay publishes what waits", _set(Relay, "run_once", delivery.nothing)),
    "republish nothing": Mutant("kept records are published again", _set(Republisher, "run_once", delivery.nothing)),
    "republish once": Mutant("republish until none is left", _set(Republisher, "run_once", delivery.republish_once)),
    "republish in part": Mutant(
        "marked when all are acknowledged", _set(Republisher, "run_once", delivery.republish_some)
    ),
    "mark with what is known after": Mutant(
        "the incarnation known before the send",
        _set(Republisher, "run_once", delivery.mark_as_known_after),
        LOSS_OF_REFERENCE_DATA,
    ),
    "never see another broker": Mutant(
        "another cluster id is another log", _set(Incarnation, "check", delivery.never_another)
    ),
    "keep an older version": Mutant(
        "of reference data the latest", _set(MemoryStore, "_keep_latest", delivery.keep_any), LOSS_OF_REFERENCE_DATA
    ),
    "mark a later version": Mutant(
        "marked is what was sent", _set(MemoryStore, "mark_kept", delivery.mark_any), LOSS_OF_REFERENCE_DATA
    ),
    "forget what is not consumed": Mutant(
        "kept until every group is past it", _set(Housekeeper, "_past", delivery.everybody_past), LATE_TO_SEE_A_LOSS
    ),
    "believe offsets of any broker": Mutant(
        "kept until every group is past it on this broker",
        _set(Housekeeper, "run_once", delivery.on_any_broker),
        LATE_TO_SEE_A_LOSS,
    ),
    "forget reference data": Mutant(
        "of reference data the latest stays for ever",
        _set(MemoryStore, "kept_before", delivery.kept_of_any_kind),
        LOSS_OF_REFERENCE_DATA,
    ),
    "send to any broker": Mutant(
        "sent to the known broker alone", _set(MemoryProducer, "_reaches", delivery.reaches_any), SLOW_TO_COME_BACK
    ),
    "apply what was seen": Mutant("at or below the watermark: drop", _set(Draft, "_event", streams.event_seen_again)),
    "apply ahead": Mutant("further on: park", _set(Draft, "_event", streams.event_ahead)),
    "drop ahead": Mutant("further on: park", _set(Draft, "_event", streams.event_dropped)),
    "one watermark an aggregate": Mutant("a watermark per stream", _set(Draft, "_event", streams.one_watermark)),
    "write, then park": Mutant("parked before the write", _set(Engine, "_write", streams.park_after), RACES),
    "unpark, then write": Mutant(
        "let go after the write", _set(Engine, "_write", streams.unpark_before), OUT_OF_ORDER_AND_BAD
    ),
    "forget what this batch parked": Mutant(
        "let through what the batch parked", _set(Draft, "_let_through", streams.only_stored), OUT_OF_ORDER
    ),
    "park without a new version": Mutant(
        "parking is a write", _set(Draft, "_finish", streams.same_version_behind_gap), RACES
    ),
    "forget that it was parked": Mutant(
        "let go of what lost its race", _set(Engine, "_park", streams.park_unmarked), RACES
    ),
    "reference data in order": Mutant(
        "of reference data the latest", _set(Draft, "_event", streams.reference_in_order), LOSS_OF_REFERENCE_DATA
    ),
    "skip nothing": Mutant(
        "a skip lets the next through", _set(Draft, "_pass_over", streams.skip_nothing), LOSS_OF_BAD_RECORDS
    ),
    "offer nothing again": Mutant(
        "what is parked is offered again", _set(Consumer, "offer_parked", streams.offer_nothing), DEATHS
    ),
    "commit first": Mutant("commit last", _set(MemorySubscriber, "run", streams.commit_first), DEATHS),
    "give a batch up": Mutant(
        "the same batch until it is safe", _set(BatchLoop, "until_safe", streams.give_up), DEATHS
    ),
    "let an exception through": Mutant("isolated to its stream", _set(Draft, "_decide", streams.decide_or_fail)),
    "pass over what failed": Mutant("a dead record stops its stream", _set(Draft, "_apply", streams.pass_failed)),
    "bury nothing": Mutant("a dead record is held", _set(Engine, "_bury", delivery.nothing)),
    "forget a letter whose replay failed": Mutant(
        "a dead record is held", _set(Consumer, "handle", streams.handle_as_if_applied)
    ),
    "bury all that was refused": Mutant(
        "isolated to its stream", _set(Engine, "_one_by_one", streams.bury_all), LOSS_OF_HUGE_RECORDS
    ),
    "tell dead letters apart by place": Mutant(
        "a dead record is held", _set(memory_store, "_letter_id", streams.letter_by_place), LOSS_OF_BAD_RECORDS
    ),
    "blame the first": Mutant(
        "isolated to its stream", _set(Engine, "_one_by_one", streams.blame_first), LOSS_OF_HUGE_RECORDS
    ),
    "erase without a tombstone": Mutant("a tombstone stays", _set(Draft, "_accept", streams.accept_without_tombstone)),
    "delete what was erased": Mutant("a tombstone stays", _set(MemoryStore, "_clear_one", streams.delete_erased)),
    "forget idempotency keys": Mutant("a command once", _set(Draft, "_remember", streams.remember_nothing)),
    "an event twice in a feed": Mutant("unique by event", _set(MemoryFeeds, "_insert", delivery.insert_twice)),
    "a number twice in a feed": Mutant("unique by number", _set(MemoryFeeds, "_insert", delivery.insert_over)),
    "count lines that did not go in": Mutant(
        "dense", _set(FeedPublisher, "_append", delivery.appending(count_all=True))
    ),
    "go on with the next line": Mutant(
        "stop at a taken number", _set(FeedPublisher, "_append", delivery.appending(go_on=True))
    ),
}
