"""`config/metrics.md`, as the program would write it: `python -m tests.runtime.metrics_table` does."""

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from syncd.runtime import metrics
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


def known() -> list[MetricWrapperBase]:
    """Every metric of ours, by name."""
    found = [m for module in (metrics, gate) for m in vars(module).values() if isinstance(m, MetricWrapperBase)]
    return sorted(found, key=exposed_name)


def exposed_name(metric: MetricWrapperBase) -> str:
    """As it stands on the page."""
    name: str = metric._name
    return name + {"counter": "_total", "info": "_info"}.get(str(metric._type), "")


def table() -> str:
    """The whole file."""
    return _HEAD + "\n".join(map(_row, known())) + "\n"


def _row(metric: MetricWrapperBase) -> str:
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{exposed_name(metric)}` | {metric._type} | {labels} | {metric._documentation} |"


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
