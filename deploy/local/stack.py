"""The whole chain on this machine: `async with LocalStack(folder) as stack`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import binaries, infrastructure, ports, services
from deploy.local.folder import DataFolder
from deploy.local.issuer import Issuer
from deploy.local.leash import Leash
from deploy.local.process import Process, Program
from deploy.local.sample import load_sample
from deploy.local.server import IssuerServer

BROKER_LIMIT_MB = 200.0
_READY_S = 60.0
_WATCH_EVERY_S = 5.0
# After kill -9 of a supervisor its processes need a moment to die.
_PORT_TRIES, _PORT_WAIT_S = 10, 0.2


class LocalStack:
    """Starts, watches and stops the processes. While it runs, `stack.json` in the folder says where all is.

    Use it in the main thread, or in one that lives as long as the stack: the kernel ties the processes to it.
    """

    def __init__(
        self,
        data: Path,
        *,
        port_base: int | None = None,
        sample: bool = False,
        run: Collection[str] = ports.SERVICES,
        env: Mapping[str, Mapping[str, str]] | None = None,
        elsewhere: services.Elsewhere | None = None,
        broker_limit_mb: float = BROKER_LIMIT_MB,
        database_cache_mb: int = 48,
        on_change: Callable[[str, str], None] = lambda name, what: None,
    ) -> None:
        """`port_base` None: free ports. `run`: which services. `env`: variables by service, before all others.

        `elsewhere`: use that broker and database, and start none.
        """
        self.folder = DataFolder(data)
        self.ports = ports.from_base(port_base if port_base is not None else ports.free_base())
        self._sample = sample
        self._run = run
        self._env = env or {}
        self._elsewhere = elsewhere
        self._broker_limit_mb = broker_limit_mb
        self._database_cache_mb = database_cache_mb
        self._on_change = on_change
        self._processes: dict[str, Process] = {}
        self._described = False
        self._issuer: Issuer | None = None
        self._cleanup = contextlib.AsyncExitStack()

    @property
    def addresses(self) -> dict[str, str]:
        """Where everything is: a URL for the issuer and each service, `kafka` host:port, `mongo` a URI."""
        pages = {name: services.url(self.ports[name]) for name in ("issuer", *ports.SERVICES)}
        if there := self._elsewhere:
            return pages | {"kafka": there.bootstrap, "mongo": there.mongo}
        kafka = f"{ports.HOST}:{self.ports['broker']}"
        return pages | {"kafka": kafka, "mongo": infrastructure.mongo_uri(self.ports["database"])}

    def _infrastructure(self) -> tuple[Program, Program]:
        database = infrastructure.database(self.folder, self.ports["database"], self._database_cache_mb)
        return database, infrastructure.broker(self.folder, self.ports["broker"])

    def process(self, name: str) -> Process:
        """One of the processes: "broker", "database", or a service."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """kill -9 one process; it is started again by itself."""
        self._processes[name].kill()

    async def wait_ready(self, names: Sequence[str] = (), within_s: float = _READY_S) -> None:
        """Until these processes (all, if none is named) do their work. Raises: StackError."""
        await asyncio.gather(*(self._processes[name].wait_ready(within_s) for name in names or self._processes))

    def token(self, role: str, organisation: str | None = None, municipalities: Sequence[str] | None = None) -> str:
        """A bearer token for an hour. Without an organisation: that of the role's first sample login.

        Raises: StackError where there is no such role.
        """
        assert self._issuer is not None, "the stack is not running"
        return self._issuer.machine_token(role, organisation, municipalities)

    def resident_mb(self) -> dict[str, float]:
        """Resident memory of each process, in MB."""
        return {name: process.resident_mb() for name, process in self._processes.items()}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._cleanup.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave anything behind.
        await asyncio.shield(asyncio.ensure_future(self._cleanup.aclose()))

    async def _start(self) -> None:
        # A new folder is made when nothing is in the way; who shares one is to hear that, and not of its ports.
        new = not self.folder.path.exists()
        if new:
            await self._check()
        self._cleanup.enter_context(self.folder)
        if not new:
            await self._check()
        self._issuer = Issuer(
            self.folder,
            services.url(self.ports["issuer"]),
            [services.url(self.ports[name]) for name in ("notifications", "audit")],
        )
        await self._cleanup.enter_async_context(IssuerServer(self._issuer, self.ports["issuer"], self.addresses))
        leash = Leash()
        self._cleanup.callback(leash.close)
        for program in () if self._elsewhere else self._infrastructure():
            self._cleanup.push_async_callback(self._begin(program, leash).stop)
        await self.wait_ready()
        started = [self._begin(self._service(name), leash) for name in self._run]
        self._cleanup.push_async_callback(_stop_together, started)
        self._describe()
        await self.wait_ready()
        watch = asyncio.create_task(self._watch(), name="watch the stack")
        self._cleanup.callback(watch.cancel)
        if self._sample:
            await load_sample(self.folder, self.addresses, self.token, datetime.now(UTC).date())

    def _service(self, name: str) -> Program:
        around = self._elsewhere.settings(name) if self._elsewhere else services.embedded(self.ports)
        return services.service(name, self.folder, self.ports, around, self._env.get(name, {}))

    def _begin(self, program: Program, leash: Leash) -> Process:
        process = Process(program, leash, self._changed)
        self._processes[program.name] = process
        process.start()
        return process

    def _changed(self, name: str, what: str) -> None:
        self._on_change(name, what)
        if self._described:
            self._describe()

    def _describe(self) -> None:
        self._described = True
        pids = {"supervisor": os.getpid()} | {name: process.pid for name, process in self._processes.items()}
        self.folder.describe(self.addresses | {"pids": pids, "data": str(self.folder.path)})

    async def _watch(self) -> None:
        """The embedded broker gives no memory back: at its limit it begins anew, and the services publish again."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            for process in self._processes.values():
                process.rotate_log()
            broker = self._processes.get("broker")
            if broker and broker.resident_mb() > self._broker_limit_mb:
                self._on_change("broker", f"holds more than {self._broker_limit_mb:.0f} MB: begins anew")
                broker.roll()

    async def _check(self) -> None:
        await self._ports_free()
        if not self._elsewhere:
            await asyncio.to_thread(binaries.check_mongod)

    async def _ports_free(self) -> None:
        for _ in range(_PORT_TRIES):
            if not ports.taken(self.ports):
                return
            await asyncio.sleep(_PORT_WAIT_S)
        ports.check_free(self.ports)


async def _stop_together(processes: Sequence[Process]) -> None:
    await asyncio.gather(*(process.stop() for process in processes))
