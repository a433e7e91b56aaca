"""Residents: they take the test, choose help, and enter the code that comes by message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import Any

from cli.demo.ledger import Ledger
from cli.demo.outside import PATIENCE_S, Answer, Outside
from cli.demo.people import Person
from deploy.local.errors import StackError

# On top of the lightest answers: each leads to another exit of the test.
_TROUBLES: tuple[dict[str, list[str]], ...] = (
    {"support": ["online"]},
    {"support": ["together"]},
    {"bailiff": ["seizure"]},
    {"threat": ["eviction"]},
)
_LETTER_WITHIN_S, _LOOK_EVERY_S = 3.0, 0.05
_SAFE = 0.25
_AT_ONCE = 4


class Residents:
    """All residents who come by themselves."""

    def __init__(self, outside: Outside, ledger: Ledger, dice: Random) -> None:
        self._outside = outside
        self._ledger = ledger
        self._dice = dice
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def newcomers(self, persons: Sequence[Person]) -> None:
        """People of whom nothing is known choose any help; who must not be called is confirmed by a professional."""
        await asyncio.gather(*(self._newcomer(person) for person in persons))

    async def known(self, persons: Sequence[Person]) -> None:
        """People about whom signals came ask for self-help: that joins the case that they have.

        A professional confirms who they are; a code would not, to a telephone that only a creditor named.
        """
        await asyncio.gather(
            *(self._ask_for_help(person, {}, None, self._outside.world.self_help, seen=True) for person in persons)
        )

    async def _newcomer(self, person: Person) -> None:
        safe = {"secretAddress": True, "doNot": ["call", "message"]} if self._dice.random() < _SAFE else None
        await self._ask_for_help(person, self._dice.choice(_TROUBLES), safe, None)
        self._ledger.newcomers += 1

    async def _ask_for_help(
        self,
        person: Person,
        trouble: dict[str, list[str]],
        safe: dict[str, Any] | None,
        wanted: str | None,
        *,
        seen: bool = False,
    ) -> None:
        """`seen`: a professional knows who it is."""
        async with self._room:
            test, offered = await self._take_test(person, trouble)
            service = next((each for each in offered if each["service"] == wanted), self._dice.choice(offered))
            choice = {"service": service["service"], "contact": _contact(person), "consent": True, "safeContact": safe}
            # Somebody of an earlier demo may have had this telephone.
            old = await self._codes(person.phone) if self._outside.world.run else []
            await self._choose(test, choice)
            if safe or seen:
                await self._confirmed_by_professional(test)
            else:
                await self._enter_code(test, choice, person, set(old))
        self._ledger.choices[service["organisation"]] += 1

    async def _take_test(self, person: Person, trouble: dict[str, list[str]]) -> tuple[str, list[dict[str, Any]]]:
        """The test's id and the help on offer; where that is none yet, the directory is still on its way."""
        current = (await self._outside.ask("GET", "intake", "/v1/questionnaires/current")).body
        lightest = {question["id"]: [question["options"][0]["id"]] for question in current["questions"]}
        body = {
            "questionnaire": current["version"],
            "municipality": self._outside.world.municipality,
            "answers": lightest | trouble,
        }
        key, end = f"test-{self._outside.world.run}-{person.surname}", time.perf_counter() + PATIENCE_S
        while time.perf_counter() < end:
            answer = (await self._outside.ask("POST", "intake", "/v1/tests", None, body, key=key)).body
            if answer["services"]:
                return str(answer["test"]), list(answer["services"])
            await asyncio.sleep(_LOOK_EVERY_S)
        raise StackError("the test offered no help in a minute")

    async def _choose(self, test: str, choice: dict[str, Any]) -> Answer:
        path = f"/v1/tests/{test}/choice"
        return await self._outside.ask("POST", "intake", path, None, choice, key=f"choice-{test}", accept=(409,))

    async def _confirmed_by_professional(self, test: str) -> None:
        token = self._outside.token("coordinator", self._outside.world.coordinator)
        await self._outside.ask("POST", "intake", f"/v1/tests/{test}/choice/confirm", token, key=f"confirm-{test}")

    async def _enter_code(self, test: str, choice: dict[str, Any], person: Person, tried: set[str]) -> None:
        """Enter each code that comes but those; where none comes or none is right, ask for another."""
        end = time.perf_counter() + PATIENCE_S
        while time.perf_counter() < end:
            code = await self._letter(person.phone, tried)
            if code is None:
                if (await self._choose(test, choice)).problem == "already-confirmed":
                    return
                continue
            tried.add(code)
            answer = await self._outside.ask(
                "POST",
                "intake",
                f"/v1/tests/{test}/choice/verify",
                None,
                {"code": code},
                key=f"code-{test}-{code}",
                accept=(400, 409),
            )
            if answer.good or answer.problem == "already-confirmed":
                return
        raise StackError("a resident got no code that is right in a minute")

    async def _codes(self, to: str) -> list[str]:
        letters = (await self._outside.ask("POST", "issuer", "/mailbox/search", None, {"to": to})).body
        return [str(letter["text"]).rpartition(" ")[2] for letter in letters]

    async def _letter(self, to: str, tried: set[str]) -> str | None:
        end = time.perf_counter() + _LETTER_WITHIN_S
        while time.perf_counter() < end:
            if new := next((code for code in await self._codes(to) if code not in tried), None):
                return new
            await asyncio.sleep(_LOOK_EVERY_S)
        return None


def _contact(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "phone": person.phone,
        "birthDate": person.birth_date.isoformat(),
        "postcode": person.postcode,
        "houseNumber": person.house_number,
    }
