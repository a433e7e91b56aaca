"""Each kind of change that breaks a reader or a writer is named, and changes that break nobody are not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hulpketen_contracts.compatibility import compare
from hulpketen_contracts.schemas import Schema, schemas

TYPE = "nl.hulpketen.samples.made.v1"
OLD: Schema = {
    "type": "object",
    "x-topic": "cases",
    "x-key": "case",
    "x-reference": False,
    "required": ["case", "status", "amount", "rules"],
    "properties": {
        "case": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 9},
        "status": {"type": "string", "enum": ["open", "closed"]},
        "amount": {"type": "integer", "minimum": 0, "maximum": 100},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "day": {"type": "string", "format": "date"},
        "rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}, "minItems": 1, "maxItems": 5},
        "maybe": {"anyOf": [{"$ref": "#/$defs/Rule"}, {"type": "null"}]},
        "limits": {"type": "object", "minProperties": 1, "maxProperties": 2},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.5},
        "either": {"type": ["string", "integer"]},
    },
    "$defs": {
        "Rule": {
            "type": "object",
            "required": ["rule"],
            "properties": {"rule": {"type": "string"}, "met": {"type": "boolean"}},
        }
    },
}

Change = Callable[[Any], object]
BOTH = {"reader", "writer"}


def after(change: Change) -> Schema:
    new = copy.deepcopy(OLD)
    change(new)
    return new


def found(change: Change) -> set[tuple[str, str, str]]:
    return {(b.path, b.kind, b.side) for b in compare({TYPE: OLD}, {TYPE: after(change)})}


def at(name: str, **keywords: Any) -> Change:
    return lambda s: s["properties"][name].update(keywords)


def without(name: str, keyword: str) -> Change:
    return lambda s: s["properties"][name].pop(keyword)


def put(name: str, held: Schema) -> Change:
    return lambda s: s["properties"].update({name: held})


def rule(**keywords: Any) -> Change:
    return lambda s: s["$defs"]["Rule"].update(keywords)


TIGHT, LOOSE = "constraint-tightened", "constraint-loosened"
W, R = "writer", "reader"
STRING, NULL = {"type": "string"}, {"type": "null"}

BREAKS: list[tuple[str, Change, set[tuple[str, str, str]]]] = [
    ("topic", lambda s: s.update({"x-topic": "signals"}), {("/", "topic-changed", W), ("/", "topic-changed", R)}),
    ("key", lambda s: s.update({"x-key": "status"}), {("/", "key-changed", W), ("/", "key-changed", R)}),
    ("reference", lambda s: s.update({"x-reference": True}), {("/", "reference-changed", s) for s in BOTH}),
    (
        "required field removed",
        lambda s: (s["properties"].pop("amount"), s["required"].remove("amount")),
        {("/amount", "field-removed", side) for side in BOTH},
    ),
    ("optional field removed", lambda s: s["properties"].pop("note"), {("/note", "field-removed", s) for s in BOTH}),
    (
        "field renamed",
        lambda s: (s["properties"].update(sum=s["properties"].pop("amount")), s["required"].__setitem__(2, "sum")),
        {("/amount", "field-removed", R), ("/amount", "field-removed", W), ("/sum", "field-made-required", W)},
    ),
    ("made required", lambda s: s["required"].append("day"), {("/day", "field-made-required", W)}),
    ("made optional", lambda s: s["required"].remove("amount"), {("/amount", "field-made-optional", R)}),
    (
        "required field added",
        lambda s: (s["properties"].update(new=STRING), s["required"].append("new")),
        {("/new", "field-made-required", W)},
    ),
    ("type changed", at("day", type="integer"), {("/day", "type-narrowed", W), ("/day", "type-widened", R)}),
    ("integer to number", at("amount", type="number"), {("/amount", "type-widened", R)}),
    ("number to integer", at("ratio", type="integer"), {("/ratio", "type-narrowed", W)}),
    ("null allowed", put("amount", {"anyOf": [OLD["properties"]["amount"], NULL]}), {("/amount", "type-widened", R)}),
    ("null refused", put("note", STRING), {("/note", "type-narrowed", W)}),
    ("one of several types removed", at("either", type="string"), {("/either", "type-narrowed", W)}),
    ("type added to several", at("either", type=["string", "integer", "null"]), {("/either", "type-widened", R)}),
    ("value added", at("status", enum=["open", "closed", "lost"]), {("/status", "value-added", R)}),
    ("value removed", at("status", enum=["open"]), {("/status", "value-removed", W)}),
    ("values opened", without("status", "enum"), {("/status", "value-added", R)}),
    ("values closed", at("case", enum=["ab"]), {("/case", "value-removed", W)}),
    ("one value", put("status", {"type": "string", "const": "open"}), {("/status", "value-removed", W)}),
    ("pattern added", at("day", pattern="^2"), {("/day", TIGHT, W)}),
    ("pattern changed", at("case", pattern="^[a-y]+$"), {("/case", TIGHT, W), ("/case", LOOSE, R)}),
    ("pattern removed", without("case", "pattern"), {("/case", LOOSE, R)}),
    ("format removed", without("day", "format"), {("/day", LOOSE, R)}),
    ("format changed", at("day", format="date-time"), {("/day", TIGHT, W), ("/day", LOOSE, R)}),
    ("maxLength down", at("case", maxLength=8), {("/case", TIGHT, W)}),
    ("maxLength up", at("case", maxLength=10), {("/case", LOOSE, R)}),
    ("maxLength added", at("day", maxLength=10), {("/day", TIGHT, W)}),
    ("maxLength removed", without("case", "maxLength"), {("/case", LOOSE, R)}),
    ("minLength up", at("case", minLength=3), {("/case", TIGHT, W)}),
    ("minLength down", at("case", minLength=1), {("/case", LOOSE, R)}),
    ("maximum down", at("amount", maximum=99), {("/amount", TIGHT, W)}),
    ("maximum up", at("amount", maximum=101), {("/amount", LOOSE, R)}),
    ("minimum up", at("amount", minimum=1), {("/amount", TIGHT, W)}),
    ("minimum removed", without("amount", "minimum"), {("/amount", LOOSE, R)}),
    ("exclusiveMaximum down", at("ratio", exclusiveMaximum=0.5), {("/ratio", TIGHT, W)}),
    ("exclusiveMinimum down", at("ratio", exclusiveMinimum=-1), {("/ratio", LOOSE, R)}),
    ("multipleOf changed", at("ratio", multipleOf=0.2), {("/ratio", TIGHT, W), ("/ratio", LOOSE, R)}),
    ("maxItems down", at("rules", maxItems=4), {("/rules", TIGHT, W)}),
    ("minItems down", at("rules", minItems=0), {("/rules", LOOSE, R)}),
    ("uniqueItems added", at("rules", uniqueItems=True), {("/rules", TIGHT, W)}),
    ("items changed", at("rules", items=STRING), {
        ("/rules/*", "type-narrowed", W), ("/rules/*", "type-widened", R),
        *(("/rules/*/" + name, "field-removed", side) for name in ("rule", "met") for side in BOTH),
    }),
    ("items limited", at("either", items=STRING), {("/either/*", "type-narrowed", W)}),
    ("maxProperties down", at("limits", maxProperties=1), {("/limits", TIGHT, W)}),
    ("minProperties down", at("limits", minProperties=0), {("/limits", LOOSE, R)}),
    ("additionalProperties", at("limits", additionalProperties=STRING), {
        ("/limits", "constraint-changed", W), ("/limits", "constraint-changed", R)}),
    ("not", at("case", **{"not": {"const": "x"}}), {("/case", "constraint-changed", s) for s in BOTH}),
    ("dependentRequired", lambda s: s.update(dependentRequired={"note": ["day"]}), {
        ("/", "constraint-changed", s) for s in BOTH}),
    ("inside a part", rule(required=["rule", "met"]), {
        ("/rules/*/met", "field-made-required", W), ("/maybe/met", "field-made-required", W)}),
    ("a part's field removed", rule(properties={"rule": STRING}), {
        (path, "field-removed", s) for path in ("/rules/*/met", "/maybe/met") for s in BOTH}),
]  # fmt: skip

KEEPS: list[tuple[str, Change]] = [
    ("nothing", lambda s: None),
    ("optional field added", put("new", STRING)),
    ("optional field added to a part", lambda s: s["$defs"]["Rule"]["properties"].update(new=STRING)),
    ("description", at("case", description="x", title="y", examples=["ab"], default="ab")),
    ("activity", lambda s: s.update({"x-activity": "x"})),
    ("part renamed", lambda s: (
        s["$defs"].update(Condition=s["$defs"].pop("Rule")),
        s["properties"]["rules"].update(items={"$ref": "#/$defs/Condition"}),
        s["properties"]["maybe"]["anyOf"].__setitem__(0, {"$ref": "#/$defs/Condition"}),
    )),
    ("part written out", put("maybe", {"anyOf": [OLD["$defs"]["Rule"], {"type": "null"}]})),
    ("enum in another order", at("status", enum=["closed", "open"])),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in BREAKS], ids=[row[0] for row in BREAKS])
def test_a_change_that_breaks_is_named(change: Change, expected: set[tuple[str, str, str]]) -> None:
    assert found(change) == expected


@pytest.mark.parametrize("change", [row[1] for row in KEEPS], ids=[row[0] for row in KEEPS])
def test_a_change_that_breaks_nobody_is_not(change: Change) -> None:
    assert found(change) == set()


def test_a_type_removed_breaks_both_and_a_type_added_breaks_nobody() -> None:
    assert {(b.kind, b.side) for b in compare({TYPE: OLD}, {})} == {("type-removed", side) for side in BOTH}
    assert compare({}, {TYPE: OLD}) == []


def test_a_new_version_beside_the_old_breaks_nobody() -> None:
    assert compare({TYPE: OLD}, {TYPE: OLD, TYPE.replace("v1", "v2"): after(at("status", enum=["open"]))}) == []


def test_it_says_what_and_for_whom() -> None:
    [one] = compare({TYPE: OLD}, {TYPE: after(at("status", enum=["open", "closed", "lost"]))})
    assert str(one) == f"{TYPE} /status: value added: 'lost' (breaks a reader)"


def test_a_part_that_holds_itself_ends() -> None:
    tree: Schema = {
        "$ref": "#/$defs/Tree",
        "$defs": {"Tree": {"type": "object", "properties": {"in": {"$ref": "#/$defs/Tree"}}}},
    }
    other = copy.deepcopy(tree)
    other["$defs"]["Tree"]["required"] = ["in"]
    assert compare({TYPE: tree}, {TYPE: tree}) == []
    assert ("/in", "field-made-required") in {(b.path, b.kind) for b in compare({TYPE: tree}, {TYPE: other})}


def test_the_projects_own_schemas_hold_no_keyword_that_is_not_understood() -> None:
    from hulpketen_contracts.compatibility import _KNOWN

    def keywords(held: Any) -> set[str]:
        if isinstance(held, list):
            return set().union(*map(keywords, held))
        if not isinstance(held, dict):
            return set()
        inner = [*held.get("properties", {}).values(), *held.get("$defs", {}).values()]
        rest = [part for name, part in held.items() if name not in ("properties", "$defs", "default")]
        return set(held) | set().union(*map(keywords, [*inner, *rest]))

    assert keywords(list(schemas().values())) <= _KNOWN
