"""Who is erased goes under every pseudonym: an erasure names one, and its aliases are found here."""

from __future__ import annotations

from services.chassis.pipeline.engine import Engine
from services.chassis.pipeline.errors import Erased
from services.chassis.pipeline.model import Command, Context, Decision, State
from services.notifications.domain.file import file_id, gone
from services.notifications.store import NotificationsStore

EVERY_S = 60.0


async def erase_aliases(store: NotificationsStore, engine: Engine) -> int:
    """Erase the files of persons who were merged into one that is erased; how many. An alias of an alias goes next."""
    aliases = await store.aliases()
    erased = await store.erased({file_id(into) for into in aliases.values()}) if aliases else set()
    due = [file for file, into in aliases.items() if file_id(into) in erased]
    if not due:
        return 0
    results = await engine.execute_many([Command(file, _erase, cause=f"erase-alias/{file}") for file in due])
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, Erased):
            raise result
    return len(due)


def _erase(_: State | None, __: Context) -> Decision:
    return gone()
