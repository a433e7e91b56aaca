"""Renders the settings of services as a page: `python -m services.chassis.settings_docs PAGE module:Class … [--check]`.

With --check nothing is written, and the exit code is 1 where the page is not what it should be.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from services.chassis.settings import Section, sections, variable

_INTRODUCTION = """# Settings

Environment variables, read at the start of a service. A wrong one stops it with a line that names it.

Each can be a file as well: named like the variable in lower case, in the folder that `SECRETS_DIRECTORY` names
(`/run/secrets` if it is not set). The environment comes first. Passwords and connection strings best come so.

This page is generated: `make settings`.
"""


def render(compositions: Iterable[type[BaseModel]]) -> str:
    """A page with a table for each section, each section once, in Markdown."""
    found: dict[type[Section], None] = {}
    for composition in compositions:
        found.update((section, None) for _, section in sections(composition))
    return "\n".join([_INTRODUCTION, *(_table(section) for section in found)])


def _table(section: type[Section]) -> str:
    prefix = section.model_config.get("env_prefix", "")
    rows = [_row(section, name, field) for name, field in section.model_fields.items()]
    head = [f"## {prefix}*", "", (section.__doc__ or "").strip(), "", "| name | default | what it is |"]
    return "\n".join([*head, "|---|---|---|", *rows, ""])


def _row(section: type[Section], name: str, field: FieldInfo) -> str:
    secret = " Secret." if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ())) else ""
    described = f"{field.description}{_allowed(field)}{secret}".replace("|", r"\|").replace("<", r"\<")
    return f"| `{variable(section, name)}` | {_default(field)} | {described} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    return "not set" if default is None else f"`{default}`" if default not in ("", {}) else "empty"


def _allowed(field: FieldInfo) -> str:
    found = ((word, getattr(each, key, None)) for each in field.metadata for key, word in _BOUNDS.items())
    parts = [f"{word} {value}" for word, value in found if value is not None]
    if choices := [repr(each) for each in getattr(field.annotation, "__args__", ()) if isinstance(each, str)]:
        parts.append("one of " + ", ".join(choice.strip("'") for choice in choices))
    return f" ({'; '.join(parts)})" if parts else ""


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def main(arguments: list[str]) -> int:
    """Write the page, or check it. Exit code 2 where the arguments are not understood."""
    check = "--check" in arguments
    rest = [argument for argument in arguments if argument != "--check"]
    if len(rest) < 2 or not all(":" in name for name in rest[1:]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    page = Path(rest[0])
    text = render(_composition(name) for name in rest[1:])
    if not check:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    elif not page.exists() or page.read_text() != text:
        sys.stderr.write(f"{page} is stale: write it again without --check\n")
        return 1
    return 0


def _composition(name: str) -> type[BaseModel]:
    module, _, attribute = name.partition(":")
    found: type[BaseModel] = getattr(import_module(module), attribute)
    return found


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
