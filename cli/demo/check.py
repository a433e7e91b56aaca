"""Compares the books with what the services, the broker and the audit have at the end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hulpketen_contracts import Decoded, SignalReceived
from hulpketen_contracts.referrals import ReferralState

from cli.demo.ledger import Ledger, Place

Item = Mapping[str, Any]


class Facts(NamedTuple):
    """What was read at the end: cases of matching in full, lists of notifications by organisation, the audit's
    entries, and the events on the broker without their copies (None: it could not be looked at); `audited`: the ids of
    those that the audit follows; `whole`: the chain began empty, so that these are all entries that it has."""

    cases: Sequence[Item]
    told_cases: Sequence[Item]
    told_referrals: Mapping[str, Sequence[Item]]
    entries: Sequence[Item]
    events: Sequence[Decoded] | None
    audited: frozenset[str]
    whole: bool = True

    def pseudonyms(self) -> frozenset[bytes]:
        """Of everybody whom an event is about; they belong on topics and in databases alone."""
        named = (getattr(event.data, name, None) for event in self.events or () for name in ("person", "subject"))
        return frozenset(name.encode() for name in named if name)


def check(ledger: Ledger, facts: Facts) -> None:
    """Note in the ledger all that is lost or doubled."""
    _partners(ledger)
    _signals(ledger, facts.cases)
    _cases(ledger, facts.cases, facts.told_cases)
    _referrals(ledger, facts.cases)
    for organisation, referrals in facts.told_referrals.items():
        _told(ledger, organisation, referrals)
    if facts.events is not None:
        _events(ledger, facts.events)
    _audit(ledger, facts.entries, facts.audited)
    if facts.whole:
        _numbers(ledger, facts.entries)


def _partners(ledger: Ledger) -> None:
    for place in ledger.missing():
        ledger.find("lost", f"{place.organisation} never saw version {place.version} of a referral")
    by_residents = ledger.by_residents()
    ledger.find("lost", "choices that made no referral", (ledger.choices - by_residents).total())
    ledger.find("doubled", "referrals that nobody asked for", (by_residents - ledger.choices).total())


def _signals(ledger: Ledger, cases: Sequence[Item]) -> None:
    """Each signal that was taken, and not taken back, is in one case, once."""
    held = Counter(signal["signal"] for case in cases for signal in case["received"])
    ledger.find("doubled", "signals that are in cases twice", sum(n - 1 for n in held.values()))
    known = {id for reference, id in ledger.ids.items() if reference not in ledger.withdrawn}
    missing = max(ledger.signals_expected - len(held), len(known - set(held)))
    ledger.find("lost", "signals that are in no case", missing)
    ledger.find("doubled", "signals that nobody sent", len(held) - ledger.signals_expected)
    off = sum(case["signals"] != len(case["received"]) for case in cases)
    ledger.find("doubled", "cases that count their signals wrongly", off)


def _cases(ledger: Ledger, cases: Sequence[Item], told: Sequence[Item]) -> None:
    """One case for each person; of each version the municipality was told, and is shown the last."""
    ids = Counter(case["case"] for case in cases)
    ledger.find("doubled", "cases that matching lists twice", sum(n - 1 for n in ids.values()))
    ledger.find("lost", "persons without a case", ledger.cases_expected - len(ids))
    ledger.find("doubled", "second cases of a person", len(ids) - ledger.cases_expected)
    others = sum(len(case["otherCases"]) for case in cases)
    ledger.find("doubled", "cases beside a person's case", others)
    for place in case_places(ledger.overseer, cases):
        if place not in ledger.seen:
            ledger.find("lost", f"{place.organisation} never saw version {place.version} of a case")
    versions = {case["case"]: case["version"] for case in cases}
    _compare(ledger, "case", versions, told, ledger.overseer)


def case_places(overseer: str, cases: Sequence[Item]) -> list[Place]:
    """Every version of every case, as the municipality has to see it."""
    return [Place(overseer, case["case"], n) for case in cases for n in range(1, case["version"] + 1)]


def _referrals(ledger: Ledger, cases: Sequence[Item]) -> None:
    """Matching has each referral once, as it was answered last; none goes twice to one service for one case."""
    items = [referral for case in cases for referral in case["referrals"]]
    _compare(ledger, "referral", _versions(ledger, ledger.received), items, "matching")
    services = Counter((referral["case"], referral["service"]) for referral in items)
    ledger.find("doubled", "referrals of a case to a service it has one to", sum(n - 1 for n in services.values()))


def _told(ledger: Ledger, organisation: str, items: Sequence[Item]) -> None:
    mine = ledger.received if organisation == ledger.overseer else None
    mine = mine or {referral: to for referral, to in ledger.received.items() if to == organisation}
    _compare(ledger, "referral", _versions(ledger, mine), items, organisation)


def _compare(ledger: Ledger, kind: str, versions: Mapping[str, int], items: Sequence[Item], where: str) -> None:
    """The list `items` has each of these, once, in this version, and nothing else."""
    there = Counter(str(item[kind]) for item in items)
    ledger.find("doubled", f"{kind}s that are listed twice: {where}", sum(n - 1 for n in there.values()))
    ledger.find("doubled", f"{kind}s that nobody made: {where}", len(there.keys() - versions.keys()))
    ledger.find("lost", f"{kind}s that are not listed: {where}", len(versions.keys() - there.keys()))
    off = sum(item["version"] != versions[item[kind]] for item in items if item[kind] in versions)
    ledger.find("lost", f"{kind}s that are not listed as they are now: {where}", off)


def _versions(ledger: Ledger, referrals: Iterable[str]) -> dict[str, int]:
    last = dict.fromkeys(referrals, 1)
    for referral, version in ledger.statuses:
        if referral in last:
            last[referral] = max(last[referral], version)
    return last


def _events(ledger: Ledger, events: Sequence[Decoded]) -> None:
    """One event for each signal and for each status of a referral, whatever copies of it there are."""
    signals = Counter(event.data.signal for event in events if isinstance(event.data, SignalReceived))
    ledger.find("doubled", "signals with two events", sum(n - 1 for n in signals.values()))
    ledger.find("lost", "signals without an event", len(ledger.taken) - len(signals))
    statuses = Counter((e.data.referral, e.data.version) for e in events if isinstance(e.data, ReferralState))
    ledger.find("doubled", "statuses of a referral with two events", sum(n - 1 for n in statuses.values()))


def _audit(ledger: Ledger, entries: Sequence[Item], audited: frozenset[str]) -> None:
    """The trail has every event once."""
    held = Counter(entry["eventId"] for entry in entries)
    ledger.find("doubled", "events that are in the trail twice", sum(n - 1 for n in held.values()))
    ledger.find("lost", "events that are not in the trail", len(audited - held.keys()))


def _numbers(ledger: Ledger, entries: Sequence[Item]) -> None:
    """The numbers of the trail have no gap."""
    numbers = {entry["index"] for entry in entries}
    ledger.find("lost", "numbers that the trail lacks", max(numbers, default=-1) + 1 - len(numbers))
