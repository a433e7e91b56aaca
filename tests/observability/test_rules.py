"""The alerts: valid, tested, explained, and about metrics that there are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.observability.dashboards import CHAIN, FOLDER, PARTNERS, SERVICE, TRAIL, all_dashboards
from tests.observability import tools

PROMETHEUS = tools.FOLDER / "prometheus"
RUNBOOKS = tools.ROOT / "docs" / "operations" / "runbooks"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [tools.program("promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_configuration_and_its_rules_are_valid() -> None:
    done = promtool("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "rules", "--lint-fatal", str(tools.RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_quiet_until_it_has_reason_to_fire() -> None:
    done = promtool("test", "rules", *map(str, TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_without_such_a_test() -> None:
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in tools.alerts()}
    assert {case["alertname"] for case in cases if "exp_alerts" in case} == names
    assert {case["alertname"] for case in cases if "exp_alerts" not in case} == names


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    said = {rule["alert"]: rule["annotations"]["runbook"] for rule in tools.alerts()}
    pages = {path.stem: str(path.relative_to(tools.ROOT)) for path in RUNBOOKS.glob("*.md")}
    assert said == pages


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_page_says_what_it_means_what_to_look_at_and_what_to_do(page: Path) -> None:
    title, _, rest = page.read_text(encoding="utf-8").partition("\n")
    meaning, _, rest = rest.partition("\n## Look at\n")
    look, _, do = rest.partition("\n## Do\n")
    assert title == f"# {page.stem}"
    assert all(part.strip() for part in (meaning, look, do))


def test_alerts_dashboards_and_pages_ask_for_metrics_that_there_are() -> None:
    queries = [rule["expr"] for rule in tools.alerts()]
    queries += [panel.asks for panel in (*CHAIN, *PARTNERS, *TRAIL, *SERVICE)]
    queries += [page.read_text(encoding="utf-8") for page in RUNBOOKS.glob("*.md")]
    assert {name for query in queries for name in tools.asked_for(query)} <= tools.documented()


def test_the_dashboards_are_those_that_are_described() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")} == all_dashboards(), (
        "write them anew: python -m deploy.observability.dashboards"
    )
