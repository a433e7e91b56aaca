"""The log: JSON lines on standard error, with an event name and fields. Values of exceptions stay out of it."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from traceback import extract_tb
from types import TracebackType
from typing import Any

from opentelemetry import trace

_FRAMES = 12
SAY_AGAIN_S = 60.0
_MOST_TEMPLATES, _MOST_OF_TEMPLATE = 500, 200
_ROOT = "services"


class Log:
    """A logger of events. `event` is a fixed name in snake_case; fields hold no personal data."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **fields: Any) -> None:
        """What helps a developer."""
        self._write(logging.DEBUG, event, None, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """What happened, as it should."""
        self._write(logging.INFO, event, None, fields)

    def warning(self, event: str, /, *, error: BaseException | None = None, **fields: Any) -> None:
        """What somebody may have to look at; `error` is written as its type and where it was raised."""
        self._write(logging.WARNING, event, error, fields)

    def error(self, event: str, /, *, error: BaseException | None = None, **fields: Any) -> None:
        """What somebody has to look at; `error` is written as its type and where it was raised."""
        self._write(logging.ERROR, event, error, fields)

    def waits(self, event: str, /, failed: str = "", *, clock: Callable[[], float] = monotonic, **about: Any) -> Waits:
        """Of something that may have to wait again and again; `failed` is the event where the fault is our own, and
        `about` is in each line."""
        return Waits(self, event, failed or event, clock, about)

    def _write(self, level: int, event: str, error: BaseException | None, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=error, extra={"fields": fields})


class Waits:
    """Says that something waits: once when it begins, again each minute, and once when it goes on."""

    __slots__ = ("_about", "_began", "_clock", "_event", "_failed", "_last", "_log", "_said", "_said_at", "_times")

    def __init__(self, log: Log, event: str, failed: str, clock: Callable[[], float], about: Mapping[str, Any]) -> None:
        self._log, self._event, self._failed, self._clock, self._about = log, event, failed, clock, about
        self._times, self._began = 0, 0.0
        self._last, self._said, self._said_at = "", False, -SAY_AGAIN_S

    def say(self, *, error: BaseException | None = None, failed: bool = False, **fields: Any) -> None:
        """It waits (still); `failed`: by a fault of our own, not because something is away."""
        now, event = self._clock(), self._failed if failed else self._event
        if not self._times:
            self._began = now
        self._times += 1
        if now < self._said_at + SAY_AGAIN_S and event == self._last:
            return
        self._last, self._said, self._said_at = event, True, now
        write = self._log.error if failed else self._log.warning
        write(event, error=error, times=self._times, **self._about, **fields)

    def over(self) -> None:
        """It went on; nothing is said where nothing was said of its waiting."""
        if self._times and self._said:
            seconds = round(self._clock() - self._began, 1)
            self._log.info(self._last, over=True, times=self._times, seconds=seconds, **self._about)
        self._times, self._said = 0, False


class _OnceAMinute(logging.Filter):
    """Lets each line of a library through once a minute: while a broker is away they come by the hundred."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if hasattr(record, "fields"):
            return True
        what, now = (record.name, _template(record)[:_MOST_OF_TEMPLATE]), self._clock()
        at, left_out = self._said.get(what, (-SAY_AGAIN_S, 0))
        if now < at + SAY_AGAIN_S:
            self._said[what] = (at, left_out + 1)
            return False
        if len(self._said) > _MOST_TEMPLATES:
            self._said.clear()
        self._said[what] = (now, 0)
        record.left_out = left_out
        return True


class _JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "event": str(record.msg),
            "service": self._service,
            "logger": record.name,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
        fields = getattr(record, "fields", None)
        if fields is None:
            # A library's line: its template alone, since its arguments may hold anything.
            line["event"], line["template"] = "library_message", _template(record)
            if left_out := getattr(record, "left_out", 0):
                line["left_out"] = left_out
        elif fields:
            line["fields"] = fields
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = describe(record.exc_info[1], record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=str)


def _template(record: logging.LogRecord) -> str:
    """What a library says, without values: asyncio writes a task's exception or a callback's arguments into it."""
    said = str(record.msg)
    return re.split(r"[\n<(]", said, maxsplit=1)[0].strip() if record.name == "asyncio" else said


def describe(error: BaseException | None, traceback: TracebackType | None = None) -> dict[str, Any]:
    """Type of an exception and of its causes, and where it was raised; never its message, which may hold a value."""
    types: list[str] = []
    each = error
    while each is not None and len(types) < _FRAMES:
        types.append(f"{type(each).__module__}.{type(each).__qualname__}".removeprefix("builtins."))
        each = each.__cause__ or each.__context__
    frames = extract_tb(traceback or (error.__traceback__ if error else None))[-_FRAMES:]
    return {"types": types, "frames": [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in frames]}


def _short(filename: str) -> str:
    _, library, rest = filename.rpartition("/site-packages/")
    if library:
        return rest
    _, own, rest = filename.rpartition(f"/{_ROOT}/")
    return f"{_ROOT}/{rest}" if own else filename.rsplit("/", 1)[-1]


def configure(service: str, level: str) -> None:
    """Send the log of the whole process to standard error as JSON lines; libraries from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service))
    handler.addFilter(_OnceAMinute())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(level.upper())
    logging.captureWarnings(True)


def get_logger(name: str) -> Log:
    """The logger of a module: `get_logger(__name__)`."""
    return Log(logging.getLogger(name))
