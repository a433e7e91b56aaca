"""One run: three services, their clients, a broker and databases, and what goes wrong with them, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from services.chassis.pipeline.model import Outgoing
from tests.simulation import toy
from tests.simulation.client import Request, ask_for
from tests.simulation.faults import OFF, Faults, choose
from tests.simulation.memory_broker import MemoryBroker, MemoryProducer
from tests.simulation.memory_rest import MemoryFeeds, MemoryIncarnation, MemoryLeases
from tests.simulation.memory_store import Database, MemoryStore
from tests.simulation.process import Deployment, Process, Switches
from tests.simulation.scheduler import Scheduler, sleep

GARBAGE = Outgoing("", b"garbage", {}, b"\x00")


class World:
    """Everything there is in a run."""

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.rng = random.Random(seed)
        self.faults = faults or choose(self.rng)
        self.scheduler = Scheduler(self.rng)
        self.broker = MemoryBroker(self.rng)
        self.broker.corrupt = toy.corrupt
        self.mended = False
        self.restarting = 0
        self._holders = 0
        self._losses = 0
        most = self.rng.choice((3, 6, 20))
        self.switches = Switches(
            offers=not self.faults.calm,
            idle_s=self.faults.idle_s,
            watch_s=self.faults.watch_s,
            batch=lambda: self.rng.randint(1, most),
        )
        handlers = toy.Handlers(lambda: self.mended)
        self.services = {
            d.name: d
            for d in (
                self._deployment("intake", 1, (), {}),
                self._deployment("matching", 2, toy.FOLLOWED["matching"], handlers.matching()),
                self._deployment("notifications", 2, toy.FOLLOWED["notifications"], handlers.notifications()),
            )
        }
        self.services["notifications"].to_feeds = True
        self.processes: list[Process] = []
        self.requests = list(self._requests())
        self._set_faults(self.faults)

    def _deployment(self, name: str, replicas: int, topics: tuple[str, ...], handlers: object) -> Deployment:
        database = Database(self.rng)
        store = MemoryStore(
            database,
            self.scheduler.now,
            reference_topics=("directory",),
            refuses=lambda document: not self.mended and toy.is_huge(document),
        )
        leases = MemoryLeases(database, self.scheduler.now)
        leases.skipped = self.faults.skip_leases
        incarnation, feeds = MemoryIncarnation(database), MemoryFeeds(database)
        return Deployment(name, replicas, topics, handlers, database, store, leases, incarnation, feeds)  # type: ignore[arg-type]

    def _requests(self) -> Iterator[Request]:
        rng = self.rng
        organisations = toy.ORGANISATIONS[: rng.randint(1, 2)]
        for i in range(rng.choice((3, 6, 12))):
            label, start, count = self._label(i), rng.random() * 3, rng.choice((0, 1, 1, 1, 2, 3))
            where = rng.random()
            if where < 0.65 * (1 - self.faults.reference):
                signal = rng.choice(toy.SIGNALS)
                yield Request("intake", signal, label, toy.signal_command(signal, label, count), start)
            elif where < 1 - self.faults.reference:
                file = rng.choice(toy.FILES)
                yield Request("matching", file, label, toy.file_command(file, label, count), start)
            else:
                organisation = rng.choice(organisations)
                label = f"c{i}"
                yield Request("matching", organisation, label, toy.directory_command(organisation, label), start)
        if self.faults.erase:
            yield Request("matching", "file-2", "erase", toy.erase_command("file-2"), 2 + rng.random())

    def _label(self, i: int) -> str:
        bad = self.faults.bad and self.rng.random() < self.faults.bad_share
        return f"{self.rng.choice(self.faults.bad) if bad else 'c'}{i}"

    # Processes

    def find(self, service: str) -> Process | None:
        """A living replica, as a load balancer would."""
        living = [p for p in self.processes if p.deployment.name == service and p.alive]
        return self.rng.choice(living) if living else None

    def _start(self, deployment: Deployment) -> None:
        self._holders += 1
        holder = f"{deployment.name}-{self._holders}"
        producer = MemoryProducer(self.broker, self.rng, lambda work: self.scheduler.spawn("late send", work))
        process = Process(deployment, holder, self.broker, producer, self.scheduler, self.switches)
        self.processes.append(process)
        process.start()

    def kill(self, process: Process) -> None:
        """kill -9, and a new one after a while."""
        self.processes.remove(process)
        process.kill()
        self.restarting += 1
        self.scheduler.spawn("restart", self._restart(process.deployment))

    async def _restart(self, deployment: Deployment) -> None:
        await sleep(0.5)
        self.restarting -= 1
        self._start(deployment)

    def close(self) -> None:
        """Drop everything."""
        for process in self.processes:
            process.kill()
        self.scheduler.close()

    # Faults

    def _set_faults(self, faults: Faults) -> None:
        self.broker.faults = faults
        self.scheduler.stall = faults.stall
        for service in self.services.values():
            service.database.faults = faults

    def _chaos(self) -> None:
        faults, chance = self.faults, self.rng.random
        if faults.kill and chance() < faults.kill and self.processes:
            self.kill(self.rng.choice(self.processes))
        if faults.lose_log and chance() < faults.lose_log and self._losses < faults.losses:
            self._losses += 1
            self.broker.lose_log()
        if faults.rebalance and chance() < faults.rebalance:
            self.broker.rebalance(self.rng.choice(("matching", "notifications")))
        if faults.away and chance() < faults.away:
            self.broker.away = not self.broker.away
        if faults.garbage and chance() < faults.garbage:
            self.broker.append(GARBAGE._replace(topic=self.rng.choice(("signals", "cases"))))

    # The run

    def begin(self) -> None:
        """Start all processes and clients."""
        for deployment in self.services.values():
            for _ in range(deployment.replicas):
                self._start(deployment)
        waiting = list(self.requests)
        while waiting:
            batch = [waiting.pop()]
            while waiting and waiting[-1].service == batch[0].service and self.rng.random() < 0.3:
                batch.append(waiting.pop())
            self.scheduler.spawn("client", ask_for(batch, self.find, self.rng))

    def disturb(self, steps: int) -> None:
        """Run with faults; in half of the runs what is poisoned is mended in the midst of it."""
        mend_at = self.rng.randint(0, 2 * steps)
        for step in range(steps):
            self._chaos()
            if step == mend_at:
                self.mend()
            self.scheduler.step()

    def calm_down(self) -> None:
        """From now on nothing goes wrong; operations wait until all else is through, where they have to."""
        self.broker.away = False
        self.switches.operations = self.mended
        self._set_faults(replace(OFF, skip_leases=self.faults.skip_leases))

    def mend(self) -> None:
        """What was poisoned can be applied now; operations replay and skip."""
        self.mended = True
        self.switches.operations = True

    def run_for(self, seconds: float) -> None:
        """Run without disturbing."""
        end = self.scheduler.time + seconds
        while self.scheduler.time < end:
            self.scheduler.step()
