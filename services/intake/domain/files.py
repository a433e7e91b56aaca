"""What intake follows of cases and referrals, to know who may look at a person: `file-<pseudonym>`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hulpketen_contracts import Decoded

from services.chassis.pipeline.model import Context, Decide, Decision, State
from services.intake.domain.looks import ContactField

OPEN = frozenset({"made", "accepted", "waitlisted", "started"})
_RECENT = 200


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks to look: an organisation, its kind by the directory, and the municipalities of the token."""

    organisation: str
    kind: str
    municipalities: Collection[str]


def follow_case(state: State | None, event: Decoded, _: Context) -> Decision:
    """A case was opened, changed or closed."""
    data: Any = event.data
    return _with(state, data, data.case, {"status": data.status, "case": data.case, "subjectKind": data.subject_kind})


def follow_referral(state: State | None, event: Decoded, _: Context) -> Decision:
    """A referral was made or changed; the file keeps the latest."""
    data: Any = event.data
    entry = {
        "status": data.status,
        "case": data.case,
        "from": data.from_organisation,
        "to": data.to_organisation,
    }
    return _with(state, data, data.referral, entry)


def gone(_: State | None, __: Context) -> Decision:
    """Nothing stays but a tombstone: the person was erased."""
    return Decision({}, erase=True)


def pass_by(_: State | None, __: Decoded, ___: Context) -> None:
    """An event of the stream that changes nothing here."""


def _with(state: State | None, data: Any, name: str, entry: Mapping[str, Any]) -> Decision:
    file = state or {"person": data.person, "municipality": data.municipality, "entries": {}, "releases": {}}
    entries = {key: value for key, value in file["entries"].items() if key != name} | {name: dict(entry)}
    while len(entries) > _RECENT:
        entries.pop(next(iter(entries)))
    releases = {key: value for key, value in file["releases"].items() if key in entries}
    return Decision(file | {"entries": entries, "ids": list(entries), "releases": releases})


def may_look(file: Mapping[str, Any], name: str, reader: Reader) -> bool:
    """Whether this reader may see the person of this referral or case.

    The municipality's professionals may; a receiver its own referral while that is open; nobody else.
    """
    entry = file["entries"][name]
    received = entry.get("to") == reader.organisation and entry["status"] in OPEN
    return is_professional(file, reader) or received


def is_professional(file: Mapping[str, Any], reader: Reader) -> bool:
    """Whether this reader is of the municipality that the file belongs to."""
    return reader.kind == "municipality" and file["municipality"] in reader.municipalities


def released(file: Mapping[str, Any], name: str, rules: str) -> list[ContactField]:
    """What a professional released for this referral or case, under these rules (their keyed digest) and no others."""
    release = file["releases"].get(name)
    return list(release["fields"]) if release and release["rules"] == rules else []


def release(name: str, fields: Collection[ContactField], reason: str, by: str, rules: str) -> Decide:
    """A professional's word: these contact details may be seen for this referral or case."""

    def decide(state: State | None, context: Context) -> Decision | None:
        if state is None or name not in state["entries"]:
            return None
        entry = {"fields": sorted(fields), "reason": reason, "by": by, "rules": rules, "at": context.now}
        return Decision(state | {"releases": state["releases"] | {name: entry}}, answer={"released": sorted(fields)})

    return decide
