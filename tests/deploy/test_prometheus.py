"""What is shipped for Prometheus, by its own judge: rules, queries and page. Needs Debian's package prometheus."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.system

CONFIG = Path(__file__).parents[2] / "config"


def promtool(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("promtool")
    assert program, "promtool is missing: apt-get install prometheus"
    return subprocess.run([program, *arguments], input=stdin, capture_output=True, check=False, timeout=60)


def test_the_alert_rules_are_valid() -> None:
    found = promtool("check", "rules", str(CONFIG / "alerts.yml"))
    assert found.returncode == 0, found.stderr


def test_the_queries_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    board = json.loads((CONFIG / "grafana.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    filled = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in queries]
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(filled)]
    place = tmp_path / "queries.yml"
    place.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    found = promtool("check", "rules", str(place))
    assert found.returncode == 0, found.stderr


def test_the_page_has_nothing_that_prometheus_finds_fault_with() -> None:
    worst = [sys.executable, "-m", "tests.runtime.worst_page"]
    page = subprocess.run(worst, capture_output=True, check=True, timeout=60, cwd=CONFIG.parent)
    found = promtool("check", "metrics", stdin=page.stdout)
    assert (found.returncode, found.stderr) == (0, b"")
