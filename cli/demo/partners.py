"""Partners who help: they look who it is about, accept, decline, put on a waiting list, start and end help."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Any

from hulpketen_contracts import Decoded, PartnerReferralChanged

from cli.demo.crew import Crew
from cli.demo.ledger import AT_AN_END, Ledger
from cli.demo.outside import PATIENCE_S, Outside

Step = tuple[str, dict[str, str]]
_LOOKED_AT, _ONLOOKED = 0.3, 0.1
_LOOK_EVERY_S = 0.1
# What a partner does next, by the status that its feed tells of, with how often; the rest waits.
_NEXT: dict[str, tuple[tuple[float, Step], ...]] = {
    "made": (
        (0.60, ("accept", {})),
        (0.15, ("decline", {"reason": "not-eligible"})),
        (0.20, ("waitlist", {"reason": "capacity"})),
    ),
    "waitlisted": ((0.70, ("accept", {})), (0.20, ("decline", {"reason": "capacity"}))),
    "accepted": ((0.90, ("start", {})),),
    "started": ((0.50, ("end", {"outcome": "completed"})),),
}


class Partner:
    """One organisation that helps; acts on what its feed tells."""

    def __init__(self, organisation: str, outside: Outside, ledger: Ledger, crew: Crew, dice: Random) -> None:
        self._organisation = organisation
        self._outside = outside
        self._ledger = ledger
        self._crew = crew
        self._dice = dice
        self._token = outside.token("partner", organisation)

    def on_event(self, event: Decoded) -> None:
        """A line of the feed."""
        data = event.data
        if isinstance(data, PartnerReferralChanged) and data.to_organisation == self._organisation:
            self._crew.begin(self._act(data.referral, data.status, data.version))

    async def _act(self, referral: str, status: str, version: int) -> None:
        if status == "made":
            if self._dice.random() < _LOOKED_AT:
                await self._look(referral)
            if self._organisation != self._outside.world.onlooker and self._dice.random() < _ONLOOKED:
                await self._look_of_another(referral)
        luck = self._dice.random()
        for chance, (action, body) in _NEXT.get(status, ()):
            luck -= chance
            if luck < 0:
                return await self._do(referral, action, body, version)
        return None

    async def _do(self, referral: str, action: str, body: dict[str, Any], version: int) -> None:
        path, key = f"/v1/referrals/{referral}/{action}", f"{action}-{referral}-{version}"
        # 409: the municipality took it back meanwhile.
        answer = await self._outside.ask("POST", "matching", path, self._token, body, key=key, accept=(409,))
        if answer.good:
            self._ledger.referral_changed(answer.body, answer.sent_at)

    async def _look(self, referral: str) -> None:
        """Look who it is about; intake may hear of the referral a moment later than this partner."""
        end = time.perf_counter() + PATIENCE_S
        while time.perf_counter() < end and self._ledger.latest.get(referral) not in AT_AN_END:
            if await self._person(self._token, referral):
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        if self._ledger.latest.get(referral) not in AT_AN_END:
            self._ledger.find("lost", "a referral of which nobody can be told who it is about")

    async def _look_of_another(self, referral: str) -> None:
        """Another organisation asks for the same, and must not even be told that the referral is there."""
        token = self._outside.token("partner", self._outside.world.onlooker)
        if await self._person(token, referral):
            self._ledger.find("personal", "another organisation was shown who a referral is about")
        for service in ("matching", "notifications"):
            answer = await self._outside.ask("GET", service, f"/v1/referrals/{referral}", token, accept=(404,))
            if answer.good:
                self._ledger.find("personal", f"{service} showed a referral to another organisation")

    async def _person(self, token: str, referral: str) -> bool:
        answer = await self._outside.ask("GET", "intake", f"/v1/referrals/{referral}/person", token, accept=(404,))
        return answer.good
