"""The context attributes of a record, read fast: where which header stands is worked out once for a set of names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from hulpketen_contracts import DecodeError

Headers = Sequence[tuple[str, bytes | None]]

REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")


class Attributes(NamedTuple):
    """What the trail reads of the headers. `committed` is what is committed to, before the data."""

    id: str
    source: str
    type: str
    time: str
    traceparent: str | None
    committed: bytes


class _Layout(NamedTuple):
    """Where to find what among the headers with these names, and among the sorted context attributes."""

    attributes: tuple[int, ...]
    others: tuple[int, ...]
    prefix: bytes
    specversion: int
    id: int
    source: int
    type: int
    time: int
    traceparent: int | None


def attributes(headers: Headers) -> Attributes:
    """Read the headers of a record. Raises DecodeError where they are not those of an event.

    What is committed to: the number of context attributes (`ce_*`), their names, in order, then their values in the
    same order, then the data; all set apart by NUL, which no attribute may hold, so that no two events are the same.
    """
    layout = _layout(tuple([name for name, _ in headers]))
    values = [held for _, held in headers]
    try:
        joined = b"\0".join([values[n] for n in layout.attributes])  # type: ignore[misc]
        texts = joined.decode().split("\0")
        for n in layout.others:
            values[n].decode()  # type: ignore[union-attr]
    except UnicodeDecodeError:
        raise DecodeError("bad-headers", "a header is not UTF-8") from None
    except (TypeError, AttributeError):
        raise DecodeError("bad-headers", "a header is null") from None
    if len(texts) != len(layout.attributes):
        raise DecodeError("bad-headers", "an attribute holds a NUL")
    if texts[layout.specversion] != "1.0":
        raise DecodeError("not-an-event", "specversion is not 1.0")
    traceparent = values[layout.traceparent] if layout.traceparent is not None else None
    return Attributes(
        texts[layout.id],
        texts[layout.source],
        texts[layout.type],
        texts[layout.time],
        traceparent.decode() if traceparent else None,
        b"%b\0%b\0" % (layout.prefix, joined),
    )


def committed_in(content: bytes) -> tuple[dict[str, str], bytes]:
    """The context attributes and the data in what was committed to."""
    number, _, rest = content.partition(b"\0")
    *texts, data = rest.split(b"\0", 2 * int(number))
    names, values = texts[: int(number)], texts[int(number) :]
    return {name.decode(): value.decode() for name, value in zip(names, values, strict=True)}, data


@lru_cache(maxsize=256)
def _layout(names: tuple[str, ...]) -> _Layout:
    if len(set(names)) != len(names):
        raise DecodeError("bad-headers", "a header stands there twice")
    ordered = sorted(name for name in names if name.startswith("ce_"))
    for name in REQUIRED:
        if name not in ordered:
            raise DecodeError("not-an-event", f"there is no {name}")
    if any("\0" in name for name in ordered):
        raise DecodeError("bad-headers", "the name of an attribute holds a NUL")
    return _Layout(
        attributes=tuple(names.index(name) for name in ordered),
        others=tuple(n for n, name in enumerate(names) if not name.startswith("ce_")),
        prefix=b"\0".join([b"%d" % len(ordered), *(name.encode() for name in ordered)]),
        specversion=ordered.index("ce_specversion"),
        id=ordered.index("ce_id"),
        source=ordered.index("ce_source"),
        type=ordered.index("ce_type"),
        time=ordered.index("ce_time"),
        traceparent=names.index("traceparent") if "traceparent" in names else None,
    )
