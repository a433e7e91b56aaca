"""Who was merged into whom: `aliases`, each {_id: person, into: person}."""

from __future__ import annotations

from collections.abc import Collection

from services.chassis.mongo.database import Database, available


class Aliases:
    """Walks over them, both ways. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._aliases = database["aliases"]

    async def roots(self, persons: Collection[str]) -> dict[str, str]:
        """Which of these were merged into another, and who each is now, after all mergers."""
        into: dict[str, str] = {}
        frontier = set(persons)
        async with available():
            while frontier:
                found = {each["_id"]: each["into"] async for each in self._aliases.find({"_id": {"$in": [*frontier]}})}
                into |= found
                frontier = set(found.values()) - into.keys()
        return {person: _end(into, person) for person in persons if person in into}

    async def merged(self, persons: Collection[str]) -> dict[str, str]:
        """Who was merged into one of these, after all mergers, and into which."""
        found: dict[str, str] = {}
        frontier = {person: person for person in persons}
        async with available():
            while frontier:
                further = self._aliases.find({"into": {"$in": list(frontier)}})
                frontier = {each["_id"]: frontier[each["into"]] async for each in further if each["_id"] not in found}
                found |= frontier
        return found


def _end(into: dict[str, str], person: str) -> str:
    seen = {person}
    while (following := into.get(person)) and following not in seen:
        person = following
        seen.add(person)
    return person
