"""Taking signals: one by one over HTTP, or a batch of a delivery, in the same handful of queries."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from services.chassis.auth import Principal
from services.chassis.keys import DerivedKey, KeyProvider
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command
from services.intake.domain.basis import REFUSALS, Grant, Sender, refusals
from services.intake.domain.checks import today
from services.intake.domain.signal import (
    REFUSED,
    ContentDiffers,
    SignalIn,
    Taking,
    receive,
    refuse,
)
from services.intake.store import IntakeStore
from services.intake.vault import Entry, Placed, Vault

Result = Literal["taken", "refused", "differs"]


class Taken(NamedTuple):
    """What came of one signal; `reasons` are codes of REFUSALS, for a refused one."""

    signal: str
    result: Result
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class _Batch:
    """A batch in the making: what each line led to, and the lines that are to be taken; `lost`: the person of those
    that are known from their event alone, since the database is that of a backup."""

    results: list[Taken | None]
    digests: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, int] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


class Desk:
    """Where signals come in."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        store: IntakeStore,
        keys: KeyProvider,
        grants: Sequence[Grant],
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._store = store
        self._grants = grants
        self._clock = clock
        # The oldest master key: a reference must lead to the same signal for as long as signals live.
        self._name_key = DerivedKey(keys, "signal-names", oldest=True)

    def name(self, organisation: str, reference: str) -> str:
        """The id of the signal with this reference of this sender."""
        return signal_id(self._name_key(), organisation, reference)

    async def sender(self, principal: Principal) -> Sender | None:
        """The token's organisation as the directory has it, within the municipalities that the token allows."""
        entry = await self._store.state(f"organisation-{principal.organisation}")
        if entry is None:
            return None
        return Sender(
            principal.organisation,
            entry["kind"],
            frozenset(entry["municipalities"]) & principal.municipalities,
            frozenset(entry["partner_types"]),
        )

    async def take(self, organisation: str, sender: Sender | None, signals: Sequence[SignalIn]) -> list[Taken]:
        """Take or refuse each signal; the same again is taken again, and nothing happens twice."""
        batch = _Batch([None] * len(signals))
        names = [self.name(organisation, signal.reference) for signal in signals]
        on = today(self._clock())
        commands: list[Command] = []
        for index, (name, signal) in enumerate(zip(names, signals, strict=True)):
            reasons = refusals(sender, signal.partner_type, signal.municipality, on=on, grants=self._grants)
            if reasons:
                batch.results[index] = Taken(name, "refused", tuple(reasons))
                commands.append(Command(f"signal-{name}", refuse(name, organisation, signal.municipality, reasons)))
        self._sort_out(batch, names, signals, await self._store.signals(set(names)))
        commands += await self._place(batch, organisation, signals)
        for command, answer in zip(commands, await self._engine.execute_many(commands), strict=True):
            self._note(batch, command.aggregate.removeprefix("signal-"), answer)
        return [result or Taken(name, "taken") for name, result in zip(names, batch.results, strict=True)]

    def _sort_out(
        self, batch: _Batch, names: Sequence[str], signals: Sequence[SignalIn], known: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Which lines are new; of a reference that is known, or comes twice, the content must be the same."""
        for index, (name, signal) in enumerate(zip(names, signals, strict=True)):
            if batch.results[index]:
                continue
            digest = self._vault.digest(signal.municipality, "content", signal.model_dump_json())
            there = known.get(name, {"status": REFUSED})
            held = batch.digests.get(name) if there["status"] == REFUSED else there["digest"]
            if there["status"] != REFUSED and held is None:
                batch.lost[name], held = there["person"], batch.digests.get(name)
            if held is None:
                batch.digests[name], batch.fresh[name] = digest, index
            else:
                batch.results[index] = Taken(name, "taken" if held == digest else "differs")

    async def _place(self, batch: _Batch, organisation: str, signals: Sequence[SignalIn]) -> list[Command]:
        commands: list[Command] = []
        by_municipality: dict[str, list[str]] = {}
        for name, index in batch.fresh.items():
            by_municipality.setdefault(signals[index].municipality, []).append(name)
        for municipality, names in by_municipality.items():
            found = [name for name in names if name in batch.lost]
            new = [name for name in names if name not in batch.lost]
            # Those first: what else comes of the same persons then leads to them.
            placed = [await self._again(batch.lost[name], signals[batch.fresh[name]]) for name in found]
            contents = [signals[batch.fresh[name]] for name in (*found, *new)]
            entries = [Entry(each.client.identifiers(), each.personal()) for each in contents[len(found) :]]
            placed += await self._vault.place(municipality, entries)
            for name, content, (person, candidates) in zip((*found, *new), contents, placed, strict=True):
                taking = Taking(
                    signal=name,
                    sender=organisation,
                    content=content,
                    digest=batch.digests[name],
                    person=person.pseudonym,
                    sealed=person.seal(f"reference/{name}", content.reference),
                    candidates=candidates,
                )
                commands.append(Command(f"signal-{name}", receive(taking), cause=f"{name}/received"))
        return commands

    async def _again(self, person: str, content: SignalIn) -> Placed:
        """Keep once more what the vault lost of this person, under the pseudonym that the chain knows."""
        await self._vault.lead(content.municipality, content.client.identifiers(), person)
        return Placed(await self._vault.add(content.municipality, person, content.personal()), ())

    def _note(self, batch: _Batch, name: str, answer: Any) -> None:
        if isinstance(answer, ContentDiffers):
            batch.results[batch.fresh[name]] = Taken(name, "differs")
        elif isinstance(answer, Exception):
            raise answer


def signal_id(key: bytes, organisation: str, reference: str) -> str:
    """A UUID (version 8) of a keyed hash: a plain one of a customer number could be guessed."""
    raw = bytearray(hmac.digest(key, f"{organisation}\0{reference}".encode(), "sha256")[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(raw)))


def explain(reasons: Collection[str]) -> list[tuple[str, str, str]]:
    """Reasons as (pointer, code, message)."""
    return [(REFUSALS[code][0], code, REFUSALS[code][1]) for code in reasons]
