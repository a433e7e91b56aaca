"""The time of an answer says nothing about the work that it took."""

from __future__ import annotations

import pytest

from services.intake.even_time import EvenTime


class Clock:
    """Stands still but for work and sleep."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.mark.parametrize(("work", "answered"), [(0.0, 0.1), (0.035, 0.1), (0.063, 0.1), (0.17, 0.2)])
async def test_an_answer_waits_for_the_next_step(work: float, answered: float) -> None:
    clock = Clock()
    async with EvenTime(0.1, clock, clock.sleep).kept():
        clock.now += work
    assert clock.now - 5.0 == pytest.approx(answered)


async def test_no_step_is_no_wait() -> None:
    clock = Clock()
    async with EvenTime(0, clock, clock.sleep).kept():
        clock.now += 0.035
    assert clock.now == 5.035


async def test_an_error_is_told_at_once() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="wrong"):
        async with EvenTime(0.1, clock, clock.sleep).kept():
            raise ValueError("wrong")
    assert clock.now == 5.0
