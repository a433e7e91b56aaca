"""What is wrong at the start is said in one clear line, and not again at every try."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import OperationFailure

from services.chassis.pipeline.errors import StoreUnavailable
from services.chassis.preflight import MOST_APART, SAY_AGAIN_S, NotReady, Reasons, check_clock, until_done
from tests.logs import said

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_reason_is_said_once_a_minute_and_another_at_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    reasons = Reasons(clock)
    for _ in range(3):
        reasons.say(NotReady("the topic cases is missing", "make it"))
    reasons.say(NotReady("the topic signals is missing", "make it"))
    clock.at = SAY_AGAIN_S
    reasons.say(NotReady("the topic signals is missing", "make it"))
    assert [fields["what"] for fields in said(caplog, "not_ready")] == [
        "the topic cases is missing",
        "the topic signals is missing",
        "the topic signals is missing",
    ]


def test_a_database_that_refuses_the_user_is_said_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    reasons = Reasons()
    reasons.say(OperationFailure("user hunter2 failed", 18))
    reasons.say(OperationFailure("not allowed", 13))
    wrong, refused = said(caplog, "not_ready")
    assert "password in MONGO_URI" in wrong["what"]
    assert "wants to do" in refused["what"]
    assert "hunter2" not in json.dumps([wrong, refused])


def test_a_file_that_cannot_be_written_is_named(caplog: pytest.LogCaptureFixture) -> None:
    Reasons().say(PermissionError(13, "Permission denied", "/keys/intake.json"))
    assert said(caplog, "not_ready")[0]["what"] == "/keys/intake.json: Permission denied"


def test_clocks_may_differ_by_seconds_and_not_by_minutes() -> None:
    check_clock(NOW, NOW - MOST_APART)
    with pytest.raises(NotReady, match="120 s apart"):
        check_clock(NOW, NOW + timedelta(minutes=2))


async def test_what_waits_is_tried_until_it_succeeds() -> None:
    tries = iter([StoreUnavailable(), NotReady("it", "mend it"), ValueError(), None])

    async def hook() -> None:
        if error := next(tries):
            raise error

    async def go_on() -> bool:
        return True

    assert await until_done(hook, go_on, Reasons())
    assert next(tries, "done") == "done"


async def test_a_stop_ends_the_waiting() -> None:
    async def hook() -> None:
        raise StoreUnavailable

    async def stopped() -> bool:
        return False

    assert not await until_done(hook, stopped, Reasons())
