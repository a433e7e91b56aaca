"""What must be right before a service begins: said in one clear line, and looked at again until it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import ConfigurationError, OperationFailure

from services.chassis.logs import get_logger
from services.chassis.mongo.database import Database, available
from services.chassis.pipeline.errors import PipelineError, StoreUnavailable

log = get_logger(__name__)
SAY_AGAIN_S = 60.0
MOST_APART = timedelta(seconds=30)
LEAST_FREE_BYTES = 256 << 20
_REFUSED = frozenset({13, 18})  # Unauthorized, AuthenticationFailed


class NotReady(PipelineError):
    """Something outside is not as the service needs it: `what` is wrong, and what is `todo`. Neither names a person."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}: {todo}")
        self.what = what
        self.todo = todo


class Reasons:
    """Says why the service waits: once, again after a minute, and at once where the reason is another."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._said = ("", 0.0)

    def say(self, error: Exception) -> None:
        """Write it to the log, where it is time."""
        reason = error if isinstance(error, NotReady) else reason_of(error)
        words = str(reason) if reason else repr(type(error))
        before, at = self._said
        if words == before and self._clock() < at + SAY_AGAIN_S:
            return
        self._said = (words, self._clock())
        if reason:
            log.error("not_ready", what=reason.what, todo=reason.todo)
        elif isinstance(error, StoreUnavailable):
            log.warning("start_waits", error=error)
        else:
            log.error("start_failed", error=error)

    def mended(self) -> None:
        """Nothing is wrong any more."""
        self._said = ("", 0.0)


def reason_of(error: Exception) -> NotReady | None:
    """What an exception of the database or the disk means to who runs the service."""
    if isinstance(error, OperationFailure) and error.code in _REFUSED:
        which = "the user and password in MONGO_URI" if error.code == 18 else "what this user wants to do (MONGO_URI)"
        return NotReady(
            f"the database refuses {which}", "make the user with the role readWrite on its own database, or correct it"
        )
    if isinstance(error, ConfigurationError):
        return NotReady("MONGO_URI cannot be used", "correct it: see the driver's page on connection strings")
    if isinstance(error, OSError) and error.filename:
        return NotReady(f"{error.filename}: {error.strerror}", "make it readable and writable for the service")
    return None


class DatabaseCheck:
    """The database as the service needs it: a replica set, with a clock like ours, and room to write."""

    def __init__(
        self, client: AsyncIOMotorClient[dict[str, object]], database: Database, clock: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._database = database
        self._clock = clock

    async def look(self) -> None:
        """Raises NotReady, StoreUnavailable."""
        async with available():
            hello = await self._client.admin.command("hello")
            room = await self._database.command("dbStats")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise NotReady(
                "the database is no replica set", "start mongod with --replSet, and initiate it (one member is enough)"
            )
        check_clock(self._clock(), hello["localTime"].replace(tzinfo=UTC))
        free = room.get("fsTotalSize", 0) - room.get("fsUsedSize", 0)
        if room.get("fsTotalSize") and free < LEAST_FREE_BYTES:
            raise NotReady(
                f"the database's disk has {int(free) >> 20} MB left of at least {LEAST_FREE_BYTES >> 20}",
                "make room, or give it a larger disk",
            )


def check_clock(ours: datetime, theirs: datetime) -> None:
    """Tokens, deadlines and the trail need the right time. Raises NotReady where the two are too far apart."""
    apart = abs(ours - theirs)
    if apart > MOST_APART:
        raise NotReady(
            f"the clocks of this machine and of the database's are {apart.total_seconds():.0f} s apart"
            f" (at most {MOST_APART.total_seconds():.0f})",
            "have both follow a time server (NTP)",
        )


async def until_done(
    hook: Callable[[], Awaitable[object]], pause: Callable[[], Awaitable[bool]], reasons: Reasons
) -> bool:
    """Run this until it succeeds; `pause` waits a while and says whether to go on. False: stopped before that."""
    while True:
        try:
            await hook()
        except Exception as error:  # noqa: BLE001 - whatever it is, the service says so and tries again
            reasons.say(error)
        else:
            reasons.mended()
            return True
        if not await pause():
            return False
