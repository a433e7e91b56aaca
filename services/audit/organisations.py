"""The partners of the chain, as the directory last told the trail of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

from hulpketen_contracts import OrganisationChanged

from services.audit.contents import Contents
from services.audit.domain.entry import said
from services.audit.domain.search import LinesAsked
from services.audit.store import TrailStore

HELD_S = 60.0
_MOST = 10_000


class Organisations:
    """Reads them of the trail; what it read counts for HELD_S."""

    def __init__(self, store: TrailStore, contents: Contents, seconds: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._contents = contents
        self._seconds = seconds
        self._known: dict[str, OrganisationChanged] = {}
        self._until = seconds()

    async def known(self) -> Mapping[str, OrganisationChanged]:
        """What was said last of each, by its id. Raises StoreUnavailable."""
        if self._seconds() >= self._until:
            entries = await self._store.lines(LinesAsked(), [OrganisationChanged.TYPE], _MOST, newest_first=True)
            contents = await self._contents.open(entries)
            # In the trail's own order: a time is what the sender said.
            inorder = sorted(zip(entries, contents, strict=True), key=lambda each: each[0]["_id"])
            changes = [said(OrganisationChanged, content.data) for _, content in inorder if content]
            self._known = {change.organisation: change for change in changes if change}
            self._until = self._seconds() + HELD_S
        return self._known
