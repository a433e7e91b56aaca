"""A resident's choice of help, from filling in to confirmed: the vault, the code, the decision."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from services.chassis.auth import Principal
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.model import Command, Decide, IdempotencyKey
from services.chassis.processing_log import Looks
from services.intake.domain import choice as rules
from services.intake.domain.choice import ChoiceIn, CodeRules, NotNow
from services.intake.domain.client import Identifier, identifiers
from services.intake.domain.person import PERSON, PROFESSIONAL, contact, proofs, said_by
from services.intake.messages import Gateway, code_text
from services.intake.store import Document, IntakeStore
from services.intake.vault import Entry, Opened, Vault


class Choices:
    """What happens between a test and a confirmed choice."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        store: IntakeStore,
        looks: Looks,
        gateway: Gateway | None,
        code_rules: CodeRules,
        keep_for: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        """`keep_for`: how long a choice waits to be confirmed."""
        self._engine = engine
        self._vault = vault
        self._store = store
        self._looks = looks
        self._gateway = gateway
        self._code_rules = code_rules
        self._keep_for = keep_for
        self._clock = clock

    async def choose(self, test: Document, given: ChoiceIn, key: IdempotencyKey | None) -> None:
        """Keep the choice apart from any person, and send a code where that is safe. Raises NotNow, NotSent.

        Whether a code was sent is not told: that would tell a stranger who has a safe-contact rule.
        """
        municipality, name = test["municipality"], f"choice-{test['test']}"
        await self._check(name, key)
        digest = self._vault.digest(municipality, "choice", given.model_dump_json())
        before = await self._store.state(name)
        if before is None or before["digest"] != digest:
            (placed,) = await self._vault.place(municipality, [Entry((), given.personal(), apart=True)])
            person = placed.person.pseudonym
            await self._looks.record("keep-choice", None, [person])
            try:
                await self._engine.execute(Command(name, rules.choose(test, given.service, person, digest), key=key))
            finally:
                await self._drop_superseded(name, {person, (before or {}).get("person") or person})
        state = await self._store.state(name)
        if state and state["digest"] == digest and rules.wants_code(state, self._clock(), self._code_rules):
            await self._send_code(name, state, given)

    async def _check(self, name: str, key: IdempotencyKey | None) -> None:
        """Before anything is done in the vault. Raises KeyReused."""
        if key:
            await self._engine.execute(Command(name, rules.leave, key=key))

    async def _drop_superseded(self, name: str, pseudonyms: set[str]) -> None:
        after = await self._store.state(name)
        for each in pseudonyms - {after["person"] if after else ""}:
            await self._vault.drop(each)

    async def verify(self, test: Document, code: str, key: IdempotencyKey | None) -> bool:
        """Enter a code: True confirms the choice, False was wrong. Raises NotNow where none can be entered."""
        name = f"choice-{test['test']}"
        tried = rules.try_code(self._hash(test, code), self._code_rules)
        answer = await self._engine.execute(Command(name, tried, key=key))
        if answer != "right":
            return False
        state = await self._waiting(name)
        if state:
            opened = await self._opened(state)
            person = await self._proved(state["municipality"], opened)
            await self._confirm(name, state, rules.confirm(person, "resident", None))
        return True

    async def confirm(self, test: Document, principal: Principal, key: IdempotencyKey | None) -> None:
        """A professional knows that this is who it says. Raises NotNow where there is no choice, KeyReused."""
        name = f"choice-{test['test']}"
        await self._check(name, key)
        state = await self._waiting(name)
        if state is None:
            return
        opened = await self._opened(state)
        values = said_by(opened.values, PROFESSIONAL)
        entry = Entry(identifiers(values["identity"]), values)
        (placed,) = await self._vault.place(state["municipality"], [entry])
        decide = rules.confirm(placed.person.pseudonym, "professional", principal.organisation)
        await self._confirm(name, state, decide, key)

    async def lapse(self) -> None:
        """Remove the contact details of choices that nobody confirmed in time. The vault first: again is harmless."""
        before = self._clock() - self._keep_for
        while found := await self._store.waiting_choices(before):
            for state in found:
                await self._vault.drop(state["person"])
                await self._engine.execute(Command(f"choice-{state['test']}", rules.lapse(before)))

    async def _waiting(self, name: str) -> Document | None:
        """The choice where it still waits; None where it is confirmed."""
        state = await self._store.state(name)
        if state is None or state["status"] == rules.LAPSED:
            raise NotNow("no-choice")
        return state if state["status"] == rules.WAITING else None

    async def _opened(self, state: Mapping[str, Any]) -> Opened:
        opened = await self._vault.open(state["person"])
        if opened is None:
            raise NotNow("no-choice")
        return opened

    async def _confirm(self, name: str, state: Document, decide: Decide, key: IdempotencyKey | None = None) -> None:
        """The decision first; what was kept apart goes once it has joined a person."""
        await self._engine.execute(Command(name, decide, cause=f"{name}/confirmed", key=key))
        after = await self._store.state(name)
        if after and after["status"] == rules.CONFIRMED and after["person"] != state["person"]:
            await self._vault.drop(state["person"])

    async def _proved(self, municipality: str, opened: Opened) -> str:
        """The person whom a code proves: one who is known with this very contact, or a person of this contact alone.

        A code shows who holds a telephone, not who lives at an address; so it leads to no neighbour. What a sender of
        signals says to be somebody's telephone proves nothing: it may be anybody's.
        """
        values = said_by(opened.values, PERSON)
        known, channel = identifiers(values["identity"]), _channel(values)
        for pseudonym in await self._vault.look_up(municipality, known):
            person = await self._vault.open(pseudonym)
            if person and channel in proofs(person.values):
                return (await self._vault.add(municipality, pseudonym, values)).pseudonym
        entry = Entry([_verified(known[0], values)], values)
        (placed,) = await self._vault.place(municipality, [entry])
        return placed.person.pseudonym

    async def _send_code(self, name: str, state: Document, given: ChoiceIn) -> None:
        if self._gateway is None:
            return
        silent = await self._restricted(state["municipality"], given) or not await self._may_be_sent(given)
        # Where none goes out, something is waited for that nobody can enter: a wrong code gets the same answer.
        code = secrets.token_hex() if silent else f"{secrets.randbelow(1_000_000):06d}"
        hashed = self._hash(state, code)
        if not await self._engine.execute(Command(name, rules.issue_code(hashed, self._code_rules))):
            return
        if not silent:
            channel, to = given.contact.channel
            await self._gateway.send(channel, to, code_text(code))
        await self._engine.execute(Command(name, rules.code_sent(hashed)))

    async def _may_be_sent(self, given: ChoiceIn) -> bool:
        """Count a code for this telephone or mailbox, of all tests together: else one is guessed by test upon test."""
        place = self._vault.digest("", "reach", given.contact.reach)
        return await self._store.count_code(place, self._clock()) <= self._code_rules.each_day

    async def _restricted(self, municipality: str, given: ChoiceIn) -> bool:
        """Whether this choice, or a person that it may be about, has a safe-contact rule: then no message goes out."""
        if given.safe_contact and given.safe_contact.restrictions():
            return True
        known = given.contact.client().identifiers()
        for pseudonym in await self._vault.look_up(municipality, [*known, _verified(known[0], given.personal())]):
            person = await self._vault.open(pseudonym)
            if person and person.values.get("safe-contact"):
                return True
        return False

    def _hash(self, state: Mapping[str, Any], code: str) -> str:
        return self._vault.digest(state["municipality"], "code", f"{state['test']}/{code}")


def _verified(home: Identifier, values: Mapping[str, Any]) -> Identifier:
    """What leads to the person of this contact alone, at this home."""
    return Identifier("verified", f"{home.text}|{_channel(values)}", home.place)


def _channel(values: Mapping[str, Any]) -> str:
    """Where the code went: the telephone, or else the e-mail address."""
    given = contact(values)
    return str(given.get("phone") or given["email"]).casefold()
