"""A process that is kept running: started again when it ends, stopped with all its children when asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.leash import Leash, leashed

LOG_LIMIT = 20_000_000
_FIRST_DELAY_S, _LONGEST_DELAY_S, _STEADY_AFTER_S = 0.05, 2.0, 3.0
_BAD_SETTINGS = 2
_MOST_CRASHES = 5
_POLL_S = 0.02


@dataclass(frozen=True)
class Program:
    """What to run. `command` is asked anew at each start; `ready` says whether the process does its work."""

    name: str
    command: Callable[[], Sequence[str]]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_within_s: float = 10.0


class Process:
    """Runs one program until it is told to stop. Each life is a process group of its own."""

    def __init__(self, program: Program, leash: Leash, on_change: Callable[[str, str], None]) -> None:
        """`on_change(name, what)` is called with "started" and "ended (…)"."""
        self.program = program
        self.pid = 0
        self.starts = 0
        self._leash = leash
        self._on_change = on_change
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._crashes = 0

    def start(self) -> None:
        """Begin to run it, and keep it running."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def wait_ready(self, within_s: float) -> None:
        """Raises: StackError when it is not ready in time, refuses its settings, or crashes again and again."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if self._keeper and self._keeper.done():
                self._keeper.result()
            if self._crashes >= _MOST_CRASHES:
                raise StackError(f"{self.program.name} does not start: {self.last_line()}")
            if self.pid and await self.program.ready():
                return
            await asyncio.sleep(_POLL_S)
        raise StackError(f"{self.program.name} was not ready within {within_s:.0f} s: see {self.program.log}")

    def kill(self) -> None:
        """kill -9, as a failure would; it is started again."""
        self._signal(signal.SIGKILL)

    def roll(self) -> None:
        """Ask it to end; it is started again."""
        self._signal(signal.SIGTERM)

    async def stop(self) -> None:
        """End it with all its children: by SIGTERM, and by SIGKILL what is left after `stop_within_s`."""
        self._stopping.set()
        self.roll()
        if self._keeper:
            _, still = await asyncio.wait([self._keeper], timeout=self.program.stop_within_s)
            if still:
                self.kill()
                await asyncio.wait([self._keeper], timeout=self.program.stop_within_s)

    def resident_mb(self) -> float:
        """Resident memory in MB; 0 while it does not run."""
        return resident_mb(self.pid)

    def last_line(self) -> str:
        """The last line of its log."""
        with contextlib.suppress(OSError, IndexError):
            return self.program.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
        return f"see {self.program.log}"

    def rotate_log(self) -> None:
        """Keep the log below twice LOG_LIMIT bytes; the process appends, so its file is copied and emptied."""
        log = self.program.log
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)

    def _signal(self, number: signal.Signals) -> None:
        # Without a process there is no pid; to signal 0 would be to signal ourselves.
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _keep(self) -> None:
        delay = _FIRST_DELAY_S
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._live()
            steady = time.monotonic() - began > _STEADY_AFTER_S
            self._crashes = _crashes(self._crashes, code, steady)
            delay = _FIRST_DELAY_S if steady else min(delay * 2, _LONGEST_DELAY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _live(self) -> int:
        """One life, from start to exit code. Whatever else is left of its group is killed."""
        process = await self._spawn()
        self.pid = process.pid
        self.starts += 1
        self._leash.add(process.pid)
        if self._stopping.is_set():
            self.roll()
        self._on_change(self.program.name, "started")
        code = await process.wait()
        self.pid = 0
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._leash.remove(process.pid)
        if not self._stopping.is_set():
            self._on_change(self.program.name, f"ended ({_meaning(code)})")
        return code

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self.program.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *leashed(self.program.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.env),
                start_new_session=True,
            )


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB, read from the kernel; 0 when there is none.

    On Linux a page that several processes share (a library's code) counts in equal parts for each, so that the sum
    over processes is what they really take.
    """
    try:
        if sys.platform == "linux":
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(shown.stdout or 0) * 1024 / 1e6
    except (OSError, StopIteration):
        return 0.0


def _crashes(so_far: int, code: int, steady: bool) -> int:
    """How often in a row it ended by itself soon after its start; refused settings will not get better."""
    if code == _BAD_SETTINGS:
        return _MOST_CRASHES
    return so_far + 1 if code > 0 and not steady else 0


def _meaning(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
