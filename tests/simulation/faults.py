"""What goes wrong in a run: each seed has its own mixture, so that rare meetings of few faults come up, too."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(slots=True)
class Faults:
    """Chances: per step (kill, lose_log, rebalance, away, garbage, stall), per record sent, per call of the database.

    `losses`: logs lost at most; `slow`: the chance that the broker takes long to tell its id or to make topics; `bad`:
    kinds of events that stop their stream, `bad_share` of all; `reference`: the share of commands about reference
    data; `idle_s`: how long an idle consumer sleeps, so how large batches grow; `watch_s`: how long until a lost
    broker is seen.
    """

    kill: float = 0.0
    lose_log: float = 0.0
    losses: int = 0
    rebalance: float = 0.0
    away: float = 0.0
    garbage: float = 0.0
    send_lost: float = 0.0
    send_late: float = 0.0
    send_twice: float = 0.0
    ack_lost: float = 0.0
    ack_slow: float = 0.0
    slow: float = 0.0
    unavailable: float = 0.0
    stall: float = 0.0
    skip_leases: bool = False
    bad: tuple[str, ...] = ()
    bad_share: float = 0.2
    erase: bool = False
    reference: float = 0.15
    idle_s: float = 0.15
    watch_s: float = 0.4

    @property
    def calm(self) -> bool:
        """Nothing that can leave a parked record behind: none may have to be looked for."""
        return not (self.kill or self.unavailable or self.erase or "corrupt" in self.bad)


# Where chances that are independent would seldom meet.
_LOSS: dict[str, Any] = {"kill": 0.0, "lose_log": 0.003, "ack_slow": 0.7, "idle_s": 1.5}
_CALM: dict[str, Any] = {"kill": 0.0, "unavailable": 0.0, "erase": False}
THEMES: Sequence[dict[str, Any]] = (
    # A broker is lost between a send and what is noted of it.
    {**_LOSS, "skip_leases": True, "watch_s": 1.5},
    {**_LOSS, "reference": 1.0},
    # Records come out of order, in large batches.
    {**_CALM, "bad": (), "send_lost": 0.3, "send_late": 0.2, "idle_s": 0.8},
    # Two processes have the same records at a time, and operations replay beside them.
    {**_CALM, "bad": ("poison",), "rebalance": 0.05, "stall": 0.05, "send_lost": 0.2, "send_late": 0.1},
    # Large batches with events that stop their streams.
    {"kill": 0.0, "bad": ("huge", "huge", "poison", "corrupt"), "reference": 0.0, "idle_s": 1.5},
    {"erase": True, "reference": 0.0},
)


def choose(rng: random.Random) -> Faults:
    """A mixture for one run; more than half of the runs have a theme, too."""
    return replace(_mixture(rng), **rng.choice(THEMES)) if rng.random() < 0.6 else _mixture(rng)


def _mixture(rng: random.Random) -> Faults:

    def some(likely: float, *rates: float) -> float:
        return rng.choice(rates) if rng.random() < likely else 0.0

    lives = 0.55 if rng.random() < 0.6 else 0.0  # else nothing dies
    return Faults(
        kill=some(lives, 0.002, 0.006, 0.015),
        lose_log=some(0.55, 0.001, 0.002, 0.005),
        losses=rng.choice((1, 2, 100)),
        rebalance=some(0.5, 0.003, 0.01, 0.03),
        away=some(0.2, 0.002),
        garbage=some(0.1, 0.003),
        send_lost=some(0.6, 0.03, 0.1, 0.3),
        send_late=some(0.3, 0.03, 0.1),
        send_twice=some(0.3, 0.05, 0.2),
        ack_lost=some(0.5, 0.03, 0.1, 0.3),
        ack_slow=some(0.3, 0.1, 0.3),
        slow=some(0.3, 0.5),
        unavailable=some(lives, 0.01, 0.03),
        stall=some(0.5, 0.01, 0.04),
        skip_leases=rng.random() < 0.2,
        bad=rng.choice((("poison",), ("poison", "huge", "corrupt"))) if rng.random() < 0.35 else (),
        erase=rng.random() < 0.2,
        reference=rng.choice((0.0, 0.1, 0.5)),
        watch_s=rng.choice((0.3, 1.5)),
        idle_s=rng.choice((0.1, 0.2, 0.8)),
    )


OFF = Faults()
