"""Creditors: they send signals one by one and in deliveries, some of them twice, and take a few back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from cli.demo import signals
from cli.demo.ledger import Ledger
from cli.demo.outside import Outside
from cli.demo.signals import Signal
from cli.demo.world import Organisation

_ONE_BY_ONE, _IN_LINES = 0.5, 0.3
_AGAIN, _TAKEN_BACK = 0.08, 0.03
_AT_ONCE = 4
_REFUSALS = (400, 403)


class Creditors:
    """All creditors together. `refused_in_lines`: what deliveries refused, by what they should have."""

    def __init__(self, outside: Outside, ledger: Ledger, dice: Random) -> None:
        self._outside = outside
        self._ledger = ledger
        self._dice = dice

    async def play(self, made: Sequence[Signal]) -> None:
        """Send everything."""
        await asyncio.gather(
            *(self._creditor(each, [s for s in made if s.sender == each]) for each in self._outside.world.creditors)
        )

    async def _creditor(self, creditor: Organisation, made: list[Signal]) -> None:
        first = next((signal for signal in made if signal.good), None)
        if first is None:
            return
        # A creditor that joined a moment ago is not known at the door yet.
        await self._send(first, again=(403,))
        rest = [signal for signal in made if signal is not first]
        one_by_one, lines = int(len(rest) * _ONE_BY_ONE), int(len(rest) * (_ONE_BY_ONE + _IN_LINES))
        await asyncio.gather(
            self._all(rest[:one_by_one]),
            self._deliver(creditor, rest[one_by_one:lines], signals.as_ndjson, "application/x-ndjson"),
            self._deliver(creditor, rest[lines:], signals.as_csv, "text/csv"),
        )

    async def _all(self, made: Sequence[Signal]) -> None:
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(signal: Signal) -> None:
            async with room:
                await self._one(signal)

        await _each(one, made)

    async def _one(self, signal: Signal) -> None:
        taken = await self._send(signal)
        luck = self._dice.random()
        if luck < _AGAIN:
            await self._send(signal)
        elif taken and luck < _AGAIN + _TAKEN_BACK:
            await self._take_back(signal, taken)

    async def _send(self, signal: Signal, again: Sequence[int] = ()) -> str | None:
        """The id that it got, None where it was refused."""
        token = self._outside.token("sender", signal.sender.id)
        accept = () if again else _REFUSALS
        answer = await self._outside.ask(
            "POST", "intake", "/v1/signals", token, signal.body, accept=accept, again=again
        )
        if not answer.good:
            self._refused(signal)
            return None
        self._taken(signal, str(answer.body["signal"]))
        return str(answer.body["signal"])

    async def _take_back(self, signal: Signal, id: str) -> None:
        token = self._outside.token("sender", signal.sender.id)
        path, body = f"/v1/signals/{id}/withdraw", {"reason": "paid"}
        await self._outside.ask("POST", "intake", path, token, body, key=f"back-{signal.reference}")
        self._ledger.withdrawn.add(signal.reference)

    async def _deliver(
        self, creditor: Organisation, made: Sequence[Signal], write: Callable[[Sequence[Signal]], bytes], kind: str
    ) -> None:
        """Deliver; some lines stand in it twice, and the whole is delivered once more."""
        if not made:
            return
        twice = [signal for signal in made if self._dice.random() < _AGAIN]
        lines = [*made, *twice]
        token, path = self._outside.token("sender", creditor.id), "/v1/deliveries"
        for time in ("first", "second"):
            key = f"{creditor.id}-{time}-{len(lines)}"
            answer = await self._outside.ask(
                "POST", "intake", path, token, content=write(lines), content_type=kind, key=key
            )
        # Lines count as an editor counts them; in a CSV the first names the columns.
        offset = 2 if write is signals.as_csv else 1
        refused = {line["line"] - offset for line in answer.body["refused"]}
        for index, signal in enumerate(lines):
            if index in refused:
                self._refused(signal)
            else:
                self._taken(signal)
        if answer.body["taken"] + len(refused) != len(lines):
            self._ledger.find("lost", "the numbers of a delivery do not add up")
        await _each(self._send, twice)

    def _taken(self, signal: Signal, id: str | None = None) -> None:
        self._ledger.signal_taken(signal.reference, signal.person.surname, id)
        if not signal.good:
            self._ledger.find("doubled", "a signal was taken that had to be refused")

    def _refused(self, signal: Signal) -> None:
        self._ledger.refused.add(signal.reference)
        if signal.good:
            self._ledger.find("lost", "a good signal was refused")


async def _each(work: Callable[[Signal], Awaitable[object]], made: Sequence[Signal]) -> None:
    await asyncio.gather(*(work(signal) for signal in made))
