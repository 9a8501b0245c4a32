"""The page for Prometheus, and what is shipped for operators beside it: names, documents, dashboard, alerts, bounds."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import BadEvent, Notices
from syncd.ports import Seen
from syncd.runtime import metrics
from syncd.sources.gate import Gate
from tests.runtime import metrics_table

CONFIG = Path(__file__).parents[2] / "config"
MANY = 1_000_000 if os.environ.get("SYNCD_TORTURE") else 50_000
BOARD: dict[str, Any] = json.loads((CONFIG / "grafana.json").read_text())
RULES = yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"][0]["rules"]
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())]
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total", "up"}  # Prometheus' own


# ------------------------------------------------------------ names


@pytest.mark.parametrize("metric", metrics_table.known(), ids=lambda metric: metric.name)
def test_each_metric_is_named_as_prometheus_conventions_ask(metric: metrics_table.Known) -> None:
    assert re.fullmatch(r"syncd_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    if metric.kind == "histogram":
        assert metric.name.endswith("_seconds")
    assert metric.documentation.endswith(".")
    assert not {"le", "quantile", "job", "instance"} & set(metric.labels)


def test_the_page_is_read_as_prometheus_reads_it_and_names_each_metric_once() -> None:
    families = [family.name for family in text_string_to_metric_families(metrics.metrics_page()[0].decode())]
    assert len(families) == len(set(families))
    assert {metric.name.removesuffix("_total") for metric in metrics_table.known()} == {
        name for name in families if name.startswith("syncd_")
    }
    assert not any(name.endswith("_created") for name in families)


def test_the_page_says_which_version_it_is_of() -> None:
    (build,) = [f for f in text_string_to_metric_families(metrics.metrics_page()[0].decode()) if "build" in f.name]
    assert set(build.samples[0].labels) == {"version", "python"}


# ------------------------------------------------------------ what operators are given


def test_the_list_for_operators_is_in_step() -> None:
    told = metrics_table.FILE.read_text(encoding="utf-8")
    assert told == metrics_table.table(), "python -m tests.runtime.metrics_table"


def series_in(query: str) -> set[str]:
    """The metrics a query names: what stands before a brace or bracket, or alone."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\b(by|on|ignoring|without)\s*\([^)]*\)", " ", query)
    return set(re.findall(r"\b(?:syncd|process|python)_\w+\b|\bup\b", bare))


def samples() -> dict[str, set[str]]:
    """Name of each sample that may be on the page → its labels."""
    found: dict[str, set[str]] = {}
    for metric in metrics_table.known():
        name, labels = metric.name, set(metric.labels)
        if metric.kind == "histogram":
            found |= {f"{name}_count": labels, f"{name}_sum": labels, f"{name}_bucket": labels | {"le"}}
        else:
            found[name] = labels | ({"version", "python"} if metric.kind == "info" else set())
    return found


def test_the_search_for_names_in_queries_finds_them() -> None:
    query = 'sum by (le, up) (rate(syncd_a_bucket{x="syncd_b"}[5m])) / on (job) time() - syncd_c_total'
    assert series_in(query) == {"syncd_a_bucket", "syncd_c_total"}


@pytest.mark.parametrize("query", [*QUERIES, *(rule["expr"] for rule in RULES)])
def test_every_query_names_metrics_and_labels_that_there_are(query: str) -> None:
    known = samples()
    named = series_in(query)
    assert named
    assert named - PROCESS <= set(known)
    for name in named - PROCESS:
        for selector in re.findall(rf"{name}\{{([^}}]*)\}}", query):
            labels = set(re.findall(r"(\w+)\s*[=!]~?", selector))
            assert labels <= known[name] | {"instance", "job"}, name


def test_the_dashboard_shows_every_metric() -> None:
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for query in QUERIES for name in series_in(query)}
    assert shown >= {metric.name for metric in metrics_table.known()}


def test_every_alert_says_what_a_person_should_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]


# ------------------------------------------------------------ bounds


async def test_a_million_names_that_senders_choose_make_no_series() -> None:
    """Buckets, keys and reasons of events; the names in requests are `tests.bad_inputs`'."""
    chance = random.Random("row 50")

    async def deliver(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None: ...

    async def send(start: int, count: int) -> None:
        gate = Gate("cam", {})
        for batch in range(start, start + count, 1_000):
            refs = [ObjectRef(f"s3://bucket-{n}", f"key-{chance.random()}") for n in range(batch, batch + 1_000)]
            await gate.deliver(Notices([(ref, Observation(0.0)) for ref in refs]), deliver)
            metrics.count_quarantined("cam", [BadEvent(f"reason-{n}", "", b"") for n in range(batch, batch + 1_000)])

    await send(0, 1_000)
    before = metrics.metrics_page()[0]
    await send(1_000, MANY)
    after = metrics.metrics_page()[0]
    assert len(after.splitlines()) == len(before.splitlines())
    assert not re.search(rb"bucket-\d|key-\d|reason-\d", after)


def test_a_thousand_datasets_that_keys_brought_are_less_than_a_megabyte() -> None:
    """In a process of its own: names that were seen stay."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.worst_page"], capture_output=True, check=True, timeout=60
    )
    assert 200_000 < len(done.stdout) < 1_000_000
    assert done.stdout.count(b'dataset="other"') > 10
