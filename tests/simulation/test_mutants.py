"""Each rule of the pipeline is there for a reason: without it the simulation goes wrong within few seeds."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MIXTURES, MUTANTS
from tests.simulation.run import run

SEEDS, CONTROLS = 100, 50


@pytest.mark.parametrize("name", MUTANTS)
def test_who_breaks_a_rule_is_caught_where_who_keeps_it_is_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, patch, faults = MUTANTS[name]
    patch(monkeypatch)
    caught = next((seed for seed in range(SEEDS) if run(seed, faults)), None)
    assert caught is not None, f"{rule!r} can be broken, and {SEEDS} seeds do not show it"
    monkeypatch.undo()
    assert not run(caught, faults)


@pytest.mark.parametrize("name", MIXTURES)
def test_the_rules_stand_up_to(name: str) -> None:
    wrong = {seed: found for seed in range(CONTROLS) if (found := run(seed, MIXTURES[name]))}
    assert not wrong
