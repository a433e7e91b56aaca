"""What the documents point at is there, and the README names every command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from cli.main import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "contracts" / "README.md"]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (document.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:services|contracts|deploy|cli|docs|tests|scripts)/[\w./-]*)`", text):
        made_at_a_start = "/generated/" in name
        assert made_at_a_start or (ROOT / name).exists(), name


def test_the_readme_names_every_command_and_no_other() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"^\| `hulpketen ([\w-]+)` \|", README, re.MULTILINE)) == commands


def test_the_readme_names_every_target_of_the_makefile_and_no_other() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)\b", README, re.MULTILINE)) == targets - {"help"}


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", (folder / "README.md").read_text("utf-8"), re.MULTILINE
    )
    written = [(path.name[:4], path.name, path.read_text("utf-8").partition("\n")[0]) for path in folder.glob("0*.md")]
    assert [(number, name, f"# {number} {title}") for number, name, title in listed] == sorted(written)


def test_every_page_of_daily_work_is_in_its_index() -> None:
    folder = ROOT / "docs" / "operations"
    index = (folder / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| .* \[[^\]]+\]\((\w[\w-]*\.md)\) \|$", index, re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")
