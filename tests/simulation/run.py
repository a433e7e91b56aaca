"""A run from a seed to its verdict."""

from __future__ import annotations

import logging

from tests.simulation.faults import Faults
from tests.simulation.judge import problems, unsettled
from tests.simulation.world import World

SETTLE_S = 120


def run(seed: int, faults: Faults | None = None) -> list[str]:
    """Everything that is wrong with the run of this seed; empty when all is well. The same seed is the same run.

    `faults`: what goes wrong, where the seed is not to choose it.
    """
    logging.disable(logging.CRITICAL)
    world = World(seed, faults)
    try:
        return _run(world)
    finally:
        world.close()
        logging.disable(logging.NOTSET)


def _run(world: World) -> list[str]:
    world.begin()
    world.disturb(world.rng.randint(800, 2500))
    world.calm_down()
    found = _come_to_rest(world) or problems(world)
    if not found and not world.mended:
        world.mend()
        found = _come_to_rest(world) or problems(world)
    return found


def _come_to_rest(world: World) -> list[str]:
    """Run until nothing is under way; what is, when that takes too long."""
    end = world.scheduler.time + SETTLE_S
    while world.scheduler.time < end:
        world.run_for(1.0)
        if world.scheduler.crashes:
            return world.scheduler.crashes
        if not unsettled(world):
            return []
    return [f"not at rest after {SETTLE_S} s: {each}" for each in unsettled(world)]
