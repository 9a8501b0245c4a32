"""The figures of a version that its card tells, counted in one pass over its small columns. Called by `card`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from syncd.domain.model import RowStatus

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

_COLUMNS = (
    "task_id",
    "status",
    "annotator",
    "ground_truth",
    "labels",
    "bucket",
    "key",
    "retired",
    "model_version",
    "split",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts of submitted answers, but for `by_status`; mappings in the order to show.

    `tasks_by_split`: split to answers and tasks. `repeated`: tasks that several people answered. `assisted`: answers
    that began with a prediction, by its model version.
    """

    by_status: Mapping[str, int]
    answers: int
    tasks: int
    objects: int
    by_split: Mapping[str, tuple[int, int]]
    by_label: Mapping[str, int]
    annotators: int
    repeated: int
    ground_truth: int
    retired: int
    assisted: Mapping[str, int]
    buckets: tuple[str, ...]


def facts_of(snapshot: "Snapshot") -> Facts:
    """Count them."""
    table = snapshot.to_arrow(columns=_COLUMNS)
    config = snapshot.label_config
    return Facts(
        by_status={status.value: snapshot.info.by_status.get(status.value, 0) for status in RowStatus},
        answers=table.num_rows,
        tasks=_different(table["task_id"]),
        objects=_different(
            pc.binary_join_element_wise(*(pc.fill_null(table[name], "") for name in ("bucket", "key")), " ")
        ),
        by_split=_splits(table),
        by_label=_labels(table["labels"], config.labels if config else ()),
        annotators=_different(pc.drop_null(table["annotator"])),
        repeated=_repeated(table),
        ground_truth=pc.sum(table["ground_truth"]).as_py() or 0,
        retired=pc.sum(table["retired"]).as_py() or 0,
        assisted=_counted(pc.drop_null(table["model_version"])),
        buckets=tuple(sorted(pc.unique(pc.drop_null(table["bucket"])).to_pylist())),
    )


def _different(column: Any) -> int:
    return int(pc.count_distinct(column).as_py())


def _counted(column: Any) -> dict[str, int]:
    """Value to count, the most frequent first."""
    counts = Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()})
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _labels(column: Any, known: Iterable[str]) -> dict[str, int]:
    """In the order of the label config, then those that only answers know."""
    counts = _counted(pc.list_flatten(column))
    return {label: counts.get(label, 0) for label in dict.fromkeys((*known, *counts))}


def _splits(table: Any) -> dict[str, tuple[int, int]]:
    groups = table.group_by("split").aggregate([("task_id", "count"), ("task_id", "count_distinct")]).to_pylist()
    rows = {group["split"] or "": (group["task_id_count"], group["task_id_count_distinct"]) for group in groups}
    return dict(sorted(rows.items(), key=lambda pair: (-pair[1][0], pair[0]))) if set(rows) - {""} else {}


def _repeated(table: Any) -> int:
    people = table.group_by("task_id").aggregate([("annotator", "count_distinct")])["annotator_count_distinct"]
    return int(pc.sum(pc.greater(people, 1)).as_py() or 0)
