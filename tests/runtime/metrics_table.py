"""`config/metrics.md`, as the program would write it: `python -m tests.runtime.metrics_table` does."""

from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from syncd.runtime import metrics
from syncd.runtime.durations import Durations
from syncd.sources import gate

FILE = Path(__file__).parents[2] / "config" / "metrics.md"
_HEAD = """# Metrics

At `http://127.0.0.1:8401/metrics`, or where `receiver.admin` says. `config/grafana.json` shows them,
`config/alerts.yml` warns by them. Times are seconds. Beside these there are Prometheus' own, `process_*`, `python_*`.

- Histograms from one end to the other begin with the first event that syncd kept, and end when the task is recorded or
  the version committed: waiting for an outage to end is in them. What no event told of is in none; it is counted in
  `syncd_reconcile_found_total`.
- `reason` of retries and dead letters is who failed and how, such as `annotator_retryable`; the words of the error are
  in the log and in `syncd dead-letter list`.
- Gauges of subjects, imports and rows are of the state: of several daemons on one PostgreSQL each shows all, so take
  the `max` of them, not the `sum`.
- Labels are bounded: nothing a sender writes is one. Datasets that keys bring have a label of their own up to 50;
  the others are counted together as `other`.

| metric | kind | labels | what |
|---|---|---|---|
"""


class Known(NamedTuple):
    """A metric: its name as it stands on the page, and what is told of it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    documentation: str


def known() -> list[Known]:
    """Every metric of ours, by name."""
    found = [_known(metric) for module in (metrics, gate) for metric in vars(module).values()]
    return sorted(metric for metric in found if metric)


def _known(metric: object) -> Known | None:
    if isinstance(metric, Durations):
        return Known(metric.name, "histogram", metric.label_names, metric.documentation)
    if isinstance(metric, MetricWrapperBase):
        kind = str(metric._type)
        name = metric._name + {"counter": "_total", "info": "_info"}.get(kind, "")
        return Known(name, kind, tuple(metric._labelnames), metric._documentation)
    return None


def table() -> str:
    """The whole file."""
    return _HEAD + "\n".join(map(_row, known())) + "\n"


def _row(metric: Known) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.documentation} |"


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
