"""Prints the largest metrics page there can be: every metric under every label, for a thousand datasets of keys."""

import sys
from collections.abc import Sequence

from syncd.domain.model import Claim, Kind, Outcome, Settlement, Subject, VersionInfo
from syncd.ports import Annotator, AnnotatorDataset, Backlog, ObjectStore, SnapshotStore, StateStore
from syncd.runtime import metrics

PORTS = (StateStore, Annotator, AnnotatorDataset, ObjectStore, SnapshotStore)
LOOKS = ("objects", "changes", "tasks", "versions", "snapshots")
FOUND = ("new", "changed", "gone", "task_gone", "task_doubled", "task_orphaned")


def fill(names: Sequence[str]) -> None:
    """Every call of every port with three outcomes, every lane, every look."""
    for port in PORTS:
        for operation in (name for name in dir(port) if not name.startswith("_")):
            for outcome in ("ok", "retryable", "rejected"):
                metrics.CALLS.labels(port.__name__, operation, outcome).observe(1)
    metrics.show_backlog([Backlog(kind, name, 1, 0, 0, 1.0) for kind in Kind for name in names], 2.0)
    metrics.show_datasets((name, 1, 1) for name in names)
    for name in names:
        _fill(name)


def _fill(name: str) -> None:
    label = metrics.dataset_label(name)
    metrics.EVENT_TO_TASK.labels(label).observe(1)
    metrics.ANNOTATION_TO_SNAPSHOT.labels(label).observe(1)
    metrics.TASKS.labels(label).inc()
    metrics.count_version(VersionInfo(name, 1, 0.0, 1, 1, 1, 1))
    metrics.count_found(name, dict.fromkeys(FOUND, 1))
    for look in LOOKS:
        metrics.count_look(name, look, 1.0)
    for kind in Kind:
        claim = Claim(Subject(kind, name, "1"), 1)
        metrics.count_settled((kind, name), [Settlement(claim, outcome) for outcome in Outcome], lost=1)


if __name__ == "__main__":
    fill([f"team-with-a-name-{n}" for n in range(1_000)])
    sys.stdout.buffer.write(metrics.metrics_page()[0])
