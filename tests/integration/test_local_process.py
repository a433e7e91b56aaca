"""Processes are kept running, end in order, and never outlive the one that started them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from deploy.local.errors import StackError
from deploy.local.leash import Leash
from deploy.local.process import Process, Program

pytestmark = pytest.mark.embedded("how its processes are run")

WAITS = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on'); [signal.pause() for _ in '12']"
# Starts a child of its own, and says who both are.
PARENT = (
    "import os, subprocess, signal, sys;"
    f"child = subprocess.Popen([sys.executable, '-c', {WAITS!r}]);"
    "print(os.getpid(), child.pid, flush=True); signal.pause()"
)


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


@contextlib.asynccontextmanager
async def running(
    code: str,
    log: Path,
    stop_within_s: float = 5,
    within_s: float = 5,
    ready: Callable[[], Awaitable[bool]] = yes,
) -> AsyncIterator[Process]:
    leash = Leash()
    program = Program("dummy", lambda: [sys.executable, "-c", code], log, ready, dict(os.environ), stop_within_s)
    process = Process(program, leash, lambda name, what: None)
    process.start()
    try:
        await process.wait_ready(within_s)
        yield process
    finally:
        await process.stop()
        leash.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def gone(pid: int, within_s: float = 5) -> bool:
    end = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


async def printed(log: Path) -> list[int]:
    async with asyncio.timeout(5):
        while not log.exists() or not log.read_text().endswith("\n"):
            await asyncio.sleep(0.01)
    return [int(word) for word in log.read_text().split()]


async def test_a_killed_process_is_started_again_within_a_second(tmp_path: Path) -> None:
    async with running(WAITS, tmp_path / "log") as process:
        first = process.pid
        process.kill()
        async with asyncio.timeout(1):
            while process.pid in (0, first):
                await asyncio.sleep(0.01)
        assert process.starts == 2
    assert not alive(process.pid or first)


async def test_what_a_killed_process_started_ends_with_it(tmp_path: Path) -> None:
    async with running(PARENT, tmp_path / "log") as process:
        _, child = await printed(tmp_path / "log")
        process.kill()
        assert await asyncio.to_thread(gone, child)


async def test_a_process_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    async with running(STUBBORN, tmp_path / "log", stop_within_s=0.3) as process:
        pid = process.pid
    assert not alive(pid)


async def test_a_process_that_refuses_its_settings_is_reported_with_its_last_line(tmp_path: Path) -> None:
    code = "import sys; print('setting X is missing'); sys.exit(2)"
    with pytest.raises(StackError, match="dummy does not start: setting X is missing"):
        async with running(code, tmp_path / "log", ready=no):
            pass


async def test_a_process_that_crashes_again_and_again_is_given_up_at_the_start(tmp_path: Path) -> None:
    code = "raise SystemExit('no module named x')"
    with pytest.raises(StackError, match="dummy does not start: no module named x"):
        async with running(code, tmp_path / "log", within_s=15, ready=no):
            pass


async def test_a_killed_watcher_is_replaced_and_knows_all_again(tmp_path: Path) -> None:
    async with running(WAITS, tmp_path / "log"):
        leash = Leash()
        spared = subprocess.Popen([sys.executable, "-c", WAITS], start_new_session=True)
        leash.add(spared.pid)
        os.kill(leash.pid, signal.SIGKILL)
        os.waitpid(leash.pid, 0)
        leash.remove(999_999_999)
        leash.close()
        assert await asyncio.to_thread(spared.wait, 5) == -signal.SIGKILL


def test_nothing_outlives_kill_9_of_the_supervisor(tmp_path: Path) -> None:
    log = tmp_path / "log"
    supervisor = f"""
        import asyncio, os
        from pathlib import Path
        from tests.integration.test_local_process import PARENT, running

        async def main():
            async with running(PARENT, Path({str(log)!r})):
                await asyncio.Event().wait()

        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(supervisor)])
    pids = asyncio.run(printed(log))
    process.kill()
    process.wait()
    assert all(gone(pid) for pid in pids)
