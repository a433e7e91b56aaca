"""The directory of help at one moment, and what it proposes. It never changes: a change makes another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from hulpketen_contracts import OrganisationChanged, Proposal, RuleOutcome, ServiceChanged

from services.matching.domain.rules import RULES, Need, Verdict, exits_for

MOST_PROPOSALS = 3
_MOST_REMEMBERED = 5_000


class Proposed(NamedTuple):
    """What the rules propose, the best first, and a digest that differs where any outcome differs."""

    proposals: list[Proposal]
    digest: str


class Directory:
    """Services and organisations by id."""

    def __init__(
        self,
        services: Mapping[str, ServiceChanged] | None = None,
        organisations: Mapping[str, OrganisationChanged] | None = None,
    ) -> None:
        self.services = dict(services or {})
        self.organisations = dict(organisations or {})
        self._in: dict[str, list[ServiceChanged]] = {}
        for service in self.services.values():
            for municipality in service.municipalities:
                self._in.setdefault(municipality, []).append(service)
        self._remembered: dict[tuple[Need, date], Proposed] = {}

    def changed(self, entries: Iterable[ServiceChanged | OrganisationChanged]) -> Directory:
        """The directory with these entries in the place of those with their ids."""
        services, organisations = dict(self.services), dict(self.organisations)
        for entry in entries:
            if isinstance(entry, ServiceChanged):
                services[entry.service] = entry
            else:
                organisations[entry.organisation] = entry
        return Directory(services, organisations)

    def municipality_of(self, municipality: str) -> str | None:
        """The organisation that is this municipality."""
        return next(
            (
                each.organisation
                for each in self.organisations.values()
                if each.kind == "municipality" and municipality in each.municipalities
            ),
            None,
        )

    def offers(self, service: str, municipality: str) -> ServiceChanged | None:
        """The service, where it is active and offered in this municipality."""
        found = self.services.get(service)
        return found if found and found.status == "active" and municipality in found.municipalities else None

    def propose(self, need: Need, day: date) -> Proposed:
        """At most three services that fit a need: none with a rule that is unmet. Remembered, as needs come back."""
        found = self._remembered.get((need, day))
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[need, day] = self._propose(need, day)
        return found

    def _propose(self, need: Need, day: date) -> Proposed:
        fitting = []
        for service in self._in.get(need.municipality, ()):
            verdicts = {rule.code: rule.judge(service, need, day) for rule in RULES}
            if all(verdict.met is not False for verdict in verdicts.values()):
                fitting.append((_rank(service, need, verdicts), service, verdicts))
        fitting.sort(key=lambda each: each[0])
        proposals = [_proposal(service, verdicts) for _, service, verdicts in fitting[:MOST_PROPOSALS]]
        text = "".join(proposal.model_dump_json() for proposal in proposals)
        return Proposed(proposals, hashlib.sha256(text.encode()).hexdigest()[:16])


def _rank(service: ServiceChanged, need: Need, verdicts: Mapping[str, Verdict]) -> tuple[int, int, bool, int, str]:
    """The best exit first; of those the help that is for nothing else, has room, and has least that is unknown."""
    exits = exits_for(need)
    at = min((exits.index(each) for each in service.exits if each in exits), default=len(exits))
    elsewhere = sum(each not in exits for each in service.exits)
    unknown = sum(verdict.met is None for verdict in verdicts.values())
    return at, elsewhere, service.capacity != "capacity", unknown, service.service


def _proposal(service: ServiceChanged, verdicts: Mapping[str, Verdict]) -> Proposal:
    rules = [RuleOutcome(rule=code, met=verdict.met, detail=verdict.detail) for code, verdict in verdicts.items()]
    return Proposal(service=service.service, organisation=service.organisation, rules=rules)
