"""Who is it about? Keyed hashes lead to persons; where they disagree a human decides. Pure; hashes in, persons out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Trace(NamedTuple):
    """An identifier after hashing: what it is, its hash, and the hash of its address ("" where it has none)."""

    kind: str
    hash: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The person. Where that is for a human to say: `candidates`, and a pseudonym of the record alone."""

    person: str
    candidates: tuple[str, ...] = ()


@dataclass(slots=True)
class Known:
    """What is known, and what a batch adds: hash -> persons, and person -> {address: hash of the birth date there}."""

    led: dict[str, list[str]] = field(default_factory=dict)
    births: dict[str, dict[str, str]] = field(default_factory=dict)


def resolve(traces: Sequence[Trace], known: Known, new_person: Callable[[], str]) -> Found:
    """Find or make the person of one record, and note in `known` where its hashes lead from now on.

    The persons that all known hashes share: exactly one is the person; none, or several, is for a human.
    """
    sets = [persons for trace in traces if (persons := _candidates(trace, traces, known))]
    if not sets:
        found = Found(new_person())
    else:
        shared = [person for person in sets[0] if all(person in persons for persons in sets)]
        if len(shared) != 1:
            every = dict.fromkeys(person for persons in sets for person in persons)
            return Found(new_person(), tuple(every))
        found = Found(shared[0])
    note(found.person, traces, known)
    return found


def note(person: str, traces: Sequence[Trace], known: Known) -> None:
    """These hashes lead to this person (too)."""
    for trace in traces:
        led = known.led.setdefault(trace.hash, [])
        if person not in led:
            led.append(person)
        if trace.kind == "birth":
            known.births.setdefault(person, {})[trace.place] = trace.hash


def _candidates(trace: Trace, traces: Sequence[Trace], known: Known) -> list[str]:
    """Persons that a hash leads to. A surname does not lead to somebody at that address with another birth date."""
    persons = known.led.get(trace.hash, [])
    if trace.kind != "surname":
        return persons
    born = next((other for other in traces if other.kind == "birth"), None)
    if born is None or born.hash in known.led:
        return persons
    return [person for person in persons if known.births.get(person, {}).get(trace.place, born.hash) == born.hash]


class Claim(NamedTuple):
    """A hash that is to lead to a person."""

    trace: Trace
    person: str


def claims(records: Sequence[tuple[Sequence[Trace], Found]], before: Mapping[str, Sequence[str]]) -> list[list[Claim]]:
    """New claims of a batch in rounds: the strongest hash of each record first, so that racing replicas agree."""
    rounds: list[list[Claim]] = []
    seen: set[tuple[str, str]] = set()
    for traces, found in records:
        if found.candidates:
            continue
        for depth, trace in enumerate(traces):
            key = (trace.hash, found.person)
            if key in seen or found.person in before.get(trace.hash, ()):
                continue
            seen.add(key)
            while len(rounds) <= depth:
                rounds.append([])
            rounds[depth].append(Claim(trace, found.person))
    return rounds
