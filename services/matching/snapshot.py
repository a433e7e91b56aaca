"""The directory in the memory of this process, kept up with what every process changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from services.matching import metrics
from services.matching.domain.directory import Directory
from services.matching.domain.entries import read
from services.matching.store import MatchingStore

# Clocks of two processes may differ, and a write becomes visible after its time: look back a little each time.
OVERLAP = timedelta(seconds=60)
WHOLE_EVERY = 600


class Snapshot:
    """The directory as this process knows it. `refresh` makes it current; whoever misses an entry may call it, too."""

    def __init__(self, store: MatchingStore) -> None:
        self._store = store
        self._known: dict[str, int] = {}
        self._latest: datetime | None = None
        self._turn = count()
        self.current = Directory()

    async def refresh(self) -> None:
        """Take over what has changed; now and then all is compared, whatever the clocks said."""
        whole = next(self._turn) % WHOLE_EVERY == 0
        since = None if whole or self._latest is None else self._latest - OVERLAP
        versions = await self._store.versions(since)
        changed = [id for id, v in versions.items() if self._known.get(id, 0) < v]
        if not changed:
            return
        documents = await self._store.entries(changed)
        # Between the query and here another refresh may have come by with something later.
        later = [d for d in documents if self._known.get(d["_id"], 0) < d["v"]]
        self._known.update({d["_id"]: d["v"] for d in later})
        moments = [document["state"]["changed_at"] for document in later]
        self._latest = max([*moments, self._latest] if self._latest else moments, default=None)
        self.current = self.current.changed(read(d["state"]) for d in later)
        metrics.services.set(len(self.current.services))
