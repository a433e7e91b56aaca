"""Who is erased goes under every pseudonym: an erasure names one, and its aliases are found here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from services.chassis.mongo.database import Database, available
from services.chassis.mongo.indexes import Index
from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import Erased
from services.chassis.pipeline.model import Command, Context, Decision, State

EVERY_S = 60.0
INDEXES = (Index("aggregates", ("state.merged_into",), "erase(): all aliases", sparse=True),)


class Aliases:
    """Aggregates of pseudonyms that became another: their state says which, as `merged_into`."""

    def __init__(self, database: Database, engine: Engine, aggregate_of: Callable[[str], str]) -> None:
        """`aggregate_of`: the id of the aggregate of a pseudonym."""
        self._aggregates = database["aggregates"]
        self._engine = engine
        self._aggregate_of = aggregate_of

    async def erase(self) -> int:
        """Erase those whose pseudonym became one that is erased; how many. An alias of an alias goes next."""
        became = await self._all()
        erased = await self._erased(set(became.values())) if became else set()
        due = [aggregate for aggregate, into in became.items() if into in erased]
        await self._erase(due)
        return len(due)

    async def erase_all(self, pseudonyms: Collection[str]) -> None:
        """Erase these, known or not, as the ledger of erasures says after a restore, and who became one of them."""
        await self._erase([self._aggregate_of(each) for each in pseudonyms])
        while await self.erase():
            pass

    async def _erase(self, aggregates: Sequence[str]) -> None:
        commands = [Command(aggregate, _erase, cause=f"erase-alias/{aggregate}") for aggregate in aggregates]
        for result in await self._engine.execute_many(commands) if commands else ():
            if isinstance(result, Exception) and not isinstance(result, Erased):
                raise result

    async def _all(self) -> dict[str, str]:
        """Each with the aggregate that it became."""
        query = {"state.merged_into": {"$exists": True}}
        async with available():
            found = self._aggregates.find(query, {"state.merged_into": 1})
            return {d["_id"]: self._aggregate_of(d["state"]["merged_into"]) async for d in found}

    async def _erased(self, ids: Collection[str]) -> set[str]:
        """Which of these aggregates were erased."""
        query = {"_id": {"$in": list(ids)}, "erased": {"$exists": True}}
        async with available():
            return {d["_id"] async for d in self._aggregates.find(query, {"_id": 1})}


def _erase(_: State | None, __: Context) -> Decision:
    return Decision({}, erase=True)
