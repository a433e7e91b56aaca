"""The pipeline's own code in a simulated world: whatever the seed, nothing is lost, doubled or out of order."""

from __future__ import annotations

import pytest

from tests.simulation.run import run

SEEDS, PART = 1000, 100


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_whatever_happens_all_is_applied_once_and_in_order(first: int) -> None:
    wrong = {seed: found for seed in range(first, first + PART) if (found := run(seed))}

    assert not wrong, f"replay one with tests.simulation.run.run(seed): {wrong}"
