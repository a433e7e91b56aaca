"""The demo's own books: what the chain took with a 2xx, and what every partner therefore has to see. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hulpketen_contracts import Decoded, PartnerCaseChanged, PartnerReferralChanged

Kind = Literal["lost", "doubled", "outOfOrder", "personal"]
PROPOSED = "referrals.proposed"
AT_AN_END = frozenset({"declined", "ended", "cancelled", "expired"})


class Finding(NamedTuple):
    """Something that is not as it should be, so many `times`; `what` names no person."""

    kind: Kind
    what: str
    times: int = 1


class Place(NamedTuple):
    """A status at a partner: the version of a referral or case that this organisation sees."""

    organisation: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class Status:
    """A status of a referral that was answered with 2xx; `sent_at`: when its request first went out."""

    status: str
    sent_at: float


@dataclass
class Ledger:
    """`overseer`: the organisation of the municipality, which sees everything. Times are of one clock, in seconds."""

    overseer: str
    taken: dict[str, str] = field(default_factory=dict)
    """The person (a name of the demo's own) that each taken signal is about, by the sender's reference."""
    ids: dict[str, str] = field(default_factory=dict)
    """The chain's id of those signals of which an answer named it, by reference."""
    refused: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    choices: Counter[str] = field(default_factory=Counter)
    """Confirmed choices of residents, by the organisation that is to help: each makes a referral."""
    newcomers: int = 0
    """Of these residents those whom no signal was about: each opens a case of its own."""
    made: dict[str, str] = field(default_factory=dict)
    """Who receives each referral that a coordinator's request made."""
    statuses: dict[tuple[str, int], Status] = field(default_factory=dict)
    received: dict[str, str] = field(default_factory=dict)
    """Who receives each referral that any feed told of."""
    seen: dict[Place, float] = field(default_factory=dict)
    cases: dict[str, PartnerCaseChanged] = field(default_factory=dict)
    """The latest of each case, as the municipality's feed has it."""
    latest: dict[str, str] = field(default_factory=dict)
    """The latest status of each referral, as any feed has it."""
    copies: int = 0
    findings: list[Finding] = field(default_factory=list)
    _events: set[tuple[str, str]] = field(default_factory=set)
    _highest: dict[tuple[str, str, bool], int] = field(default_factory=dict)

    # What was answered

    def signal_taken(self, reference: str, person: str, id: str | None = None) -> None:
        """A 2xx for a signal; a second one for the same reference must name the same id."""
        self.taken[reference] = person
        if id is not None and self.ids.setdefault(reference, id) != id:
            self.find("doubled", "a signal that was sent again got another id")

    def referral_changed(self, answer: Mapping[str, Any], sent_at: float) -> None:
        """A 2xx for a request that made or changed a referral."""
        referral, version = str(answer["referral"]), int(answer["version"])
        self.received[referral] = str(answer["toOrganisation"])
        if version == 1:
            self.made[referral] = str(answer["toOrganisation"])
        given = self.statuses.setdefault((referral, version), Status(str(answer["status"]), sent_at))
        if given.status != answer["status"]:
            self.find("doubled", f"version {version} of a referral is both {given.status} and {answer['status']}")

    # What was seen

    def copy(self) -> None:
        """A copy came over the wire, which the reader dropped."""
        self.copies += 1

    def saw(self, organisation: str, event: Decoded, at: float) -> None:
        """An event came through an organisation's reader, after it dropped what it had seen."""
        data = event.data
        if (organisation, event.envelope.id) in self._events:
            return self.find("doubled", f"{organisation} got an event twice: {event.envelope.type}")
        self._events.add((organisation, event.envelope.id))
        if isinstance(data, PartnerReferralChanged | PartnerCaseChanged):
            self._changed(organisation, data, at)
        return None

    def _changed(self, organisation: str, data: PartnerReferralChanged | PartnerCaseChanged, at: float) -> None:
        subject = data.referral if isinstance(data, PartnerReferralChanged) else data.case
        proposed = data.change == PROPOSED
        newest = self._in_order(organisation, subject, data.version, data.change, proposed)
        if not proposed:
            self.seen.setdefault(Place(organisation, subject, data.version), at)
        if isinstance(data, PartnerReferralChanged):
            self.received.setdefault(subject, data.to_organisation)
            if newest:
                self.latest[subject] = data.status
        elif newest:
            self.cases[subject] = data

    def _in_order(self, organisation: str, subject: str, version: int, change: str, proposed: bool) -> bool:
        """Whether this is the newest; a version that came before is doubled, one below a later one out of order."""
        line = (organisation, subject, proposed)
        highest = self._highest.get(line, 0)
        if version <= highest:
            again = proposed or Place(organisation, subject, version) in self.seen
            self.find("doubled" if again else "outOfOrder", f"{organisation} got {change}, version {version}, late")
            return False
        self._highest[line] = version
        return True

    # What follows

    def find(self, kind: Kind, what: str, count: int = 1) -> None:
        """Note what is not as it should be."""
        if count > 0:
            self.findings.append(Finding(kind, what, count))

    @property
    def progress(self) -> int:
        """Rises with all that happens."""
        answered = len(self.taken) + len(self.refused) + len(self.statuses) + self.choices.total()
        return answered + len(self.seen) + self.copies

    @property
    def signals_expected(self) -> int:
        """Signals that must be in a case."""
        return len(self.taken) - len(self.withdrawn)

    @property
    def cases_expected(self) -> int:
        """One for each person that somebody signalled or that asked for help."""
        return len(set(self.taken.values())) + self.newcomers

    def by_residents(self) -> Counter[str]:
        """Referrals that no coordinator made, by who receives them."""
        return Counter(to for referral, to in self.received.items() if referral not in self.made)

    def expected(self) -> Iterator[Place]:
        """Every status of a referral that a partner has to see: the municipality and the receiver each."""
        places = set(self.statuses) | {(referral, 1) for referral in self.received}
        for referral, version in places:
            yield Place(self.overseer, referral, version)
            yield Place(self.received[referral], referral, version)

    def missing(self) -> list[Place]:
        """Those of them that did not come yet."""
        return [place for place in self.expected() if place not in self.seen]

    def settled(self) -> bool:
        """Whether all that was taken has come to everybody who has to see it."""
        return (
            sum(case.signals for case in self.cases.values()) == self.signals_expected
            and len(self.cases) == self.cases_expected
            and self.by_residents() == self.choices
            and not self.missing()
        )

    def milliseconds(self, organisations: frozenset[str]) -> list[float]:
        """From request to arrival, of each change of a referral at each of these organisations that sees it."""
        places = ((Place(org, *key), status) for key, status in self.statuses.items() for org in organisations)
        return sorted(1000 * (self.seen[place] - each.sent_at) for place, each in places if place in self.seen)
