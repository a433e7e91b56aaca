"""Which changes of the contracts break a reader or a writer that still has the released ones.

A writer's data follows its own schema and no more; a reader refuses what its schema refuses and ignores fields that
it does not know. So one question is asked twice: what may be written after one schema that the other refuses? With
the old as writer it is what breaks a writer, with the new as writer what breaks a reader. Enumerations are closed:
a value that is added breaks a reader, which would put the record with its dead letters. What breaks goes into a new
version of the type, beside the old one. The kinds of change are those of Karapace's check of JSON Schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

Schema = Mapping[str, Any]
Side = Literal["reader", "writer"]

_SIDES: tuple[Side, Side] = ("reader", "writer")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_EQUAL = ("pattern", "format", "multipleOf", "uniqueItems")
_ADDRESS = ("x-topic", "x-key", "x-reference")
_STRUCTURE = ("$ref", "anyOf", "const", "enum", "items", "properties", "required", "type")
_NOTES = (
    "$defs",
    "$id",
    "$schema",
    "$comment",
    "default",
    "description",
    "examples",
    "title",
    "deprecated",
    "x-activity",
)
# A change of any other keyword (not, allOf, dependentRequired …) is named without asking what it means.
_KNOWN = {*_UPPER, *_LOWER, *_EQUAL, *_ADDRESS, *_STRUCTURE, *_NOTES}


class Break(NamedTuple):
    """A change that breaks: of which type, at which path of its data, of what kind, and for whom."""

    type: str
    path: str
    kind: str
    side: Side
    text: str

    def __str__(self) -> str:
        return f"{self.type} {self.path}: {self.text} (breaks a {self.side})"


class _Refusal(NamedTuple):
    """Something that may be written and is refused."""

    path: str
    kind: str
    value: str


class _Node(NamedTuple):
    """A schema inside the whole one that its references point into."""

    schema: Schema
    root: Schema

    def resolved(self) -> Schema:
        held = self.schema
        while "$ref" in held:
            held = self.root["$defs"][held["$ref"].removeprefix("#/$defs/")]
        return held

    def alternatives(self) -> list[_Node]:
        """One node for each alternative of `anyOf`, and for each of several types."""
        held = self.resolved()
        if "anyOf" in held:
            return [found for part in held["anyOf"] for found in _Node(part, self.root).alternatives()]
        if isinstance(held.get("type"), list):
            return [_Node({**held, "type": kind}, self.root) for kind in held["type"]]
        return [_Node(held, self.root)]


def compare(released: Mapping[str, Schema], current: Mapping[str, Schema]) -> list[Break]:
    """Every change from the released schemas, by type, to the current ones that breaks; empty: none does."""
    found: list[Break] = []
    for name in sorted(released):
        if name in current:
            found += _changes(name, released[name], current[name])
        else:
            found += [Break(name, "/", "type-removed", side, "the type was removed") for side in _SIDES]
    return found


def _changes(name: str, old: Schema, new: Schema) -> Iterator[Break]:
    for keyword in _ADDRESS:
        if old.get(keyword) != new.get(keyword):
            what = keyword.removeprefix("x-")
            text = f"the {what} changed from {old.get(keyword)} to {new.get(keyword)}"
            yield from (Break(name, "/", f"{what}-changed", side, text) for side in _SIDES)
    gone = _fields(old, old) - _fields(new, new)
    for path in sorted(path for path in gone if path.rpartition("/")[0] not in gone):
        yield from (Break(name, path, "field-removed", side, "the field was removed or renamed") for side in _SIDES)
    for refusal in _refused(_Node(old, old), _Node(new, new), ""):
        yield _named(name, refusal, "writer")
    for refusal in _refused(_Node(new, new), _Node(old, old), ""):
        if refusal.path not in gone:
            yield _named(name, refusal, "reader")


_TEXTS: Mapping[tuple[str, Side], tuple[str, str]] = {
    ("required", "writer"): ("field-made-required", "the field is required, and was not"),
    ("required", "reader"): ("field-made-optional", "the field may be left out, and might not"),
    ("type", "writer"): ("type-narrowed", "no longer allowed: {}"),
    ("type", "reader"): ("type-widened", "newly allowed: {}"),
    ("enum", "writer"): ("value-removed", "value removed: {}"),
    ("enum", "reader"): ("value-added", "value added: {}"),
    ("limit", "writer"): ("constraint-tightened", "tightened: {}"),
    ("limit", "reader"): ("constraint-loosened", "loosened: {}"),
    ("keyword", "writer"): ("constraint-changed", "changed: {}"),
    ("keyword", "reader"): ("constraint-changed", "changed: {}"),
}


def _named(name: str, refusal: _Refusal, side: Side) -> Break:
    kind, text = _TEXTS[refusal.kind, side]
    return Break(name, refusal.path, kind, side, text.format(refusal.value))


def _fields(schema: Schema, root: Schema, path: str = "", inside: tuple[int, ...] = ()) -> set[str]:
    """The paths of all fields at any depth; `*` stands for the items of a list."""
    found: set[str] = set()
    for node in _Node(schema, root).alternatives():
        held = node.schema
        if id(held) in inside:
            continue
        for name, part in held.get("properties", {}).items():
            found |= {f"{path}/{name}"} | _fields(part, root, f"{path}/{name}", (*inside, id(held)))
        if "items" in held:
            found |= _fields(held["items"], root, f"{path}/*", (*inside, id(held)))
    return found


def _refused(written: _Node, read: _Node, path: str, inside: tuple[tuple[int, int], ...] = ()) -> Iterator[_Refusal]:
    readers = read.alternatives()
    for one in written.alternatives():
        here = (id(one.schema), id(read.schema))
        if here in inside:
            continue
        tries = [list(_refused_by(one, other, path, (*inside, here))) for other in readers if _same_type(one, other)]
        if not tries:
            yield _Refusal(path or "/", "type", str(one.schema.get("type", "anything")))
        elif all(tries):
            yield from min(tries, key=len)


def _same_type(written: _Node, read: _Node) -> bool:
    ours, theirs = written.schema.get("type"), read.schema.get("type")
    return theirs in (None, ours) or (ours, theirs) == ("integer", "number")


def _refused_by(written: _Node, read: _Node, path: str, inside: tuple[tuple[int, int], ...]) -> Iterator[_Refusal]:
    ours, theirs = written.schema, read.schema
    yield from _values(ours, theirs, path)
    yield from _limits(ours, theirs, path)
    for name in theirs.get("required", ()):
        if name not in ours.get("required", ()):
            yield _Refusal(f"{path}/{name}", "required", name)
    for name, part in ours.get("properties", {}).items():
        if name in theirs.get("properties", {}):
            other = _Node(theirs["properties"][name], read.root)
            yield from _refused(_Node(part, written.root), other, f"{path}/{name}", inside)
    if "items" in theirs:
        items = _Node(ours.get("items", {}), written.root)
        yield from _refused(items, _Node(theirs["items"], read.root), f"{path}/*", inside)


def _values(ours: Schema, theirs: Schema, path: str) -> Iterator[_Refusal]:
    allowed = _closed(theirs)
    if allowed is None:
        return
    possible = _closed(ours)
    if possible is None:
        yield _Refusal(path or "/", "enum", "any")
    else:
        yield from (_Refusal(path or "/", "enum", repr(value)) for value in possible if value not in allowed)


def _closed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _limits(ours: Schema, theirs: Schema, path: str) -> Iterator[_Refusal]:
    tighter = [k for k in _UPPER if k in theirs and (k not in ours or ours[k] > theirs[k])]
    tighter += [k for k in _LOWER if k in theirs and (k not in ours or ours[k] < theirs[k])]
    tighter += [k for k in _EQUAL if k in theirs and ours.get(k) != theirs[k]]
    for keyword in tighter:
        text = f"{keyword} {ours.get(keyword, 'none')} against {theirs[keyword]}"
        yield _Refusal(path or "/", "limit", text)
    for keyword in sorted({*ours, *theirs} - _KNOWN):
        if ours.get(keyword) != theirs.get(keyword):
            yield _Refusal(path or "/", "keyword", keyword)
