"""The coordinator of the municipality: looks at cases, refers from proposals, takes a few back, closes a few cases."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

from hulpketen_contracts import Decoded, PartnerCaseChanged, PartnerReferralChanged

from cli.demo.crew import Crew
from cli.demo.ledger import PROPOSED, Ledger
from cli.demo.outside import Outside

_REFERRED, _OWN_CHOICE, _LOOKED_AT, _LISTED, _TAKEN_BACK, _CLOSED = 0.7, 0.1, 0.1, 0.05, 0.06, 0.05
_CLOSING = "Inwoner regelt het zelf/hoeft geen hulp vanuit vroegsignalering"


class Coordinator:
    """Acts on what the municipality's feed tells."""

    def __init__(self, outside: Outside, ledger: Ledger, crew: Crew, dice: Random) -> None:
        self._outside = outside
        self._ledger = ledger
        self._crew = crew
        self._dice = dice
        self._token = outside.token("coordinator", outside.world.coordinator)
        self._tried: dict[str, set[str]] = defaultdict(set)
        self._known: set[str] = set()

    def on_event(self, event: Decoded) -> None:
        """A line of the feed."""
        data = event.data
        if isinstance(data, PartnerCaseChanged):
            if data.change == PROPOSED and data.case not in self._known:
                self._known.add(data.case)
                self._crew.begin(self._take_up(data.case))
        elif isinstance(data, PartnerReferralChanged) and data.case is not None:
            self._tried[data.case].add(data.service)
            if data.status == "declined":
                self._crew.begin(self._refer(data.case))
            elif data.status == "made" and self._dice.random() < _TAKEN_BACK:
                self._crew.begin(self._take_back(data.referral))

    async def close_some(self) -> None:
        """Close cases of which nothing is under way."""
        busy = {case for case in self._ledger.cases if self._tried[case]}
        for case in sorted(set(self._ledger.cases) - busy):
            if self._dice.random() < _CLOSED * 5:
                body = {"result": _CLOSING}
                await self._ask("POST", f"/v1/cases/{case}/close", body, key=f"close-{case}")

    async def _take_up(self, case: str) -> None:
        if self._dice.random() < _LISTED:
            await self._ask("GET", "/v1/cases?perPage=50")
        if self._dice.random() < _LOOKED_AT:
            # Intake may hear of the case a moment later than the municipality.
            await self._outside.ask("GET", "intake", f"/v1/cases/{case}/person", self._token, again=(404,))
        if self._dice.random() < _REFERRED:
            await self._refer(case)

    async def _refer(self, case: str) -> None:
        """Refer to a service that is proposed, or now and then to one of one's own choice; to none twice."""
        proposals = (await self._ask("GET", f"/v1/cases/{case}/proposals"))["proposals"]
        services = [each["service"] for each in proposals]
        if self._dice.random() < _OWN_CHOICE:
            services = [self._outside.world.of_ones_own]
        left = [service for service in services if service not in self._tried[case] | {self._outside.world.self_help}]
        if not left:
            return
        service = self._dice.choice(left)
        self._tried[case].add(service)
        answer = await self._outside.ask(
            "POST",
            "matching",
            "/v1/referrals",
            self._token,
            {"case": case, "service": service},
            key=f"refer-{case}-{service}",
            accept=(409,),
        )
        if answer.good:
            self._ledger.referral_changed(answer.body, answer.sent_at)

    async def _take_back(self, referral: str) -> None:
        path, body = f"/v1/referrals/{referral}/cancel", {"reason": "withdrawn-by-resident"}
        key = f"cancel-{referral}"
        answer = await self._outside.ask("POST", "matching", path, self._token, body, key=key, accept=(409,))
        if answer.good:
            self._ledger.referral_changed(answer.body, answer.sent_at)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Any:
        return (await self._outside.ask(method, "matching", path, self._token, body, key=key)).body
