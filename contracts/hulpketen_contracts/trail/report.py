"""What checks found, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from hulpketen_contracts.trail.leaf import Leaf
from hulpketen_contracts.trail.part import Checked
from hulpketen_contracts.trail.proof import Proven


def of_bundle(checked: Checked) -> Iterator[str]:
    """The lines about a bundle that is right."""
    yield from of_checkpoint(checked)
    extent = checked.extent
    yield f"entries: {checked.entries} (number {extent.first} to before {extent.end}), each as it was signed"
    if extent.since or extent.until:
        since, until = extent.since or "the beginning", extent.until or "the end"
        yield f"period: {since} to {until}: {checked.in_period} of these entries are of it"
        yield "that the period has no others is what the audit says: a check of the whole trail counts all"
    if checked.own_keys:
        yield "checked with the key in the bundle itself: compare it with the one that you were given"
        yield from [f"key: {key}" for key in (*checked.keys.trail, *checked.keys.witnesses)]


def of_checkpoint(checked: Checked) -> Iterator[str]:
    """The lines about a checkpoint that is right."""
    yield f"trail: {checked.checkpoint.origin}"
    yield f"checkpoint: {checked.checkpoint.size} entries, signature right"
    for size in checked.goes_on_from:
        yield f"goes on from the checkpoint of {size} entries that was kept"
    for size in checked.older_than:
        yield f"older than the checkpoint of {size} entries that was kept: NOT compared with that"
    for size in checked.without_tiles:
        yield f"NOT compared with the checkpoint of {size} entries that was kept: name it at the export (--kept)"
    for each in checked.cosigned:
        yield f"cosigned by {each.name} at {_time(datetime.fromtimestamp(each.time, UTC))}"


def of_proof(proven: Proven) -> Iterator[str]:
    """The lines about a proof that is right."""
    yield f"trail: {proven.checkpoint.origin}"
    yield f"entry {proven.index} of {proven.checkpoint.size}, as it was signed"
    yield from of_leaf(proven.leaf)


def of_leaf(leaf: Leaf) -> Iterator[str]:
    """The lines about an entry."""
    yield f"time: {_time(leaf.at)}"
    yield f"type: {leaf.type}"
    yield f"source: {leaf.source}"
    yield f"organisation: {leaf.organisation or '-'}"
    yield f"activity: {leaf.activity or '-'}"
    yield f"event: {leaf.event_id}"
    yield f"commitment: {leaf.commitment.hex()}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")
