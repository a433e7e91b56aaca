"""The leaf of an entry: its bytes in the tree, from its document, and the document from them."""

from __future__ import annotations

from hulpketen_contracts.trail.leaf import Leaf, leaf_bytes, parse_leaf

from services.audit.domain.entry import Document


def leaf_of(entry: Document) -> bytes:
    """The leaf of an entry as it stands in the database."""
    return leaf_bytes(
        Leaf(
            entry["at"],
            entry["type"],
            entry["source"],
            entry["organisation"],
            entry["activity"],
            entry["eventId"],
            entry["commitment"],
        )
    )


def entry_of(leaf: bytes, index: int) -> Document:
    """The document of a leaf whose content is not at hand: `about` says that it is awaited. Raises TrailError."""
    found = parse_leaf(leaf)
    return {
        "_id": index,
        "at": found.at,
        "type": found.type,
        "source": found.source,
        "organisation": found.organisation,
        "activity": found.activity,
        "eventId": found.event_id,
        "commitment": found.commitment,
        "about": {"awaited": True},
    }
