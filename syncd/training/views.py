"""One row per task: which of a task's answers stands for it, and what its people make of each other.

Called by `snapshot` for queries with `tasks=…`. Only small columns of the rows are read to choose; `reading` reads the
chosen rows. 1,000,000 rows take about a second, and `majority` and `agreement` that plus the answers of those tasks
that several people answered.

Rows of retired tasks are rows of tasks too: an object that changed has a retired task for its old version and
another for its new one. `retired=False` leaves the old ones out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syncd.domain.errors import Rejected
from syncd.domain.model import RowStatus
from syncd.training.query import Query, filter_of, wants_agreement
from syncd.training.reading import ROW_ID, added_type

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

_SMALL = ("task_id", "annotation_id", "annotator", "ground_truth", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class View:
    """The rows that stand for their tasks. `row_ids` ascending; `added`: the columns that come with them, aligned."""

    row_ids: Any
    added: Any

    def attach(self, rows: Any) -> Any:
        """Of a table or batch with row ids, the rows that are in the view, with its columns."""
        ids, mine = rows[ROW_ID].to_numpy(zero_copy_only=False), self.row_ids.to_numpy()
        places: Any = np.searchsorted(mine, ids)
        places[places == len(mine)] = 0
        inside = mine[places] == ids if len(mine) else np.zeros(len(ids), bool)
        kept, added = rows.filter(pa.array(inside)), self.added.take(pa.array(places[inside]))
        for name in added.column_names:
            kept = kept.append_column(name, _like(kept, added[name]))
        return kept


def view_of(snapshot: "Snapshot", query: Query) -> View:
    """The view a query with `tasks` asks for. Rejected: its rows' answers cannot be compared."""
    policy, agreement = str(query["tasks"]), wants_agreement(query)
    if not agreement and policy != "majority":
        tasks, scores, medoids = Tasks.of(snapshot, query, reviewed_first=policy == "ground-truth"), None, None
    else:
        from syncd.training.agreement import scored  # noqa: PLC0415 - reads answers, which most views need not

        tasks = comparable(snapshot, query)
        scores, medoids = scored(snapshot, tasks)
        tasks = Tasks.of(snapshot, query, reviewed_first=True) if policy == "ground-truth" else tasks
    chosen = {"majority": medoids, "all": tasks.places()}.get(policy, tasks.firsts())
    return tasks.view(chosen, scores if agreement else None)


def comparable(snapshot: "Snapshot", query: Query) -> "Tasks":
    """The tasks of a query whose answers are to be compared. Rejected: they were not submitted."""
    if (status := query.get("status", RowStatus.SUBMITTED.value)) != RowStatus.SUBMITTED.value:
        raise Rejected(f"majority and agreement compare answers that were submitted; status={status!r} asks for others")
    return Tasks.of(snapshot, query)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Rows sorted by task, in each the newest first. `codes`: which task each row is of, 0, 1, …; ascending.

    Newest: changed last, else made last; where that is the same or unknown, the greatest annotation id, by its length
    and then its text, so that 10 comes after 9.
    """

    rows: Any
    codes: Any

    @classmethod
    def of(cls, snapshot: "Snapshot", query: Query, *, reviewed_first: bool = False) -> "Tasks":
        """The rows of a query. `reviewed_first`: ground truth comes before what is newer."""
        rows = snapshot.small(_SMALL, filter_of(query)).sort_by(ROW_ID)  # the table's order may move, this does not
        rows = rows.append_column("code", _encoded(rows["task_id"])).append_column("at", _changed(rows))
        rows = rows.append_column("length", pc.utf8_length(rows["annotation_id"]))
        best = ["ground_truth"] if reviewed_first else []
        order = [("code", "ascending"), *((name, "descending") for name in (*best, "at", "length", "annotation_id"))]
        rows = rows.take(pc.sort_indices(rows, sort_keys=order))
        return cls(rows, rows["code"].to_numpy())

    def places(self) -> Any:
        """The place of every row."""
        return np.arange(len(self.codes))

    def firsts(self) -> Any:
        """The place of each task's first row."""
        return np.flatnonzero(np.diff(self.codes, prepend=-1))

    @property
    def counts(self) -> Any:
        """How many rows each task has."""
        return np.bincount(self.codes)

    @property
    def row_ids(self) -> Any:
        """The row ids, in order of the rows."""
        return self.rows[ROW_ID].to_numpy()

    def view(self, places: Any, scores: Sequence[float | None] | None) -> View:
        """The rows at these places as a view; `scores`: the agreement of each task."""
        places = places[np.argsort(self.row_ids[places], kind="stable")]
        codes = self.codes[places]
        added = {
            "annotations": pa.array(self.counts[codes], added_type("annotations")),
            "annotators": self._annotators().take(pa.array(codes)),
        }
        if scores is not None:
            added["agreement"] = pa.array(scores, added_type("agreement")).take(pa.array(codes))
        return View(pa.array(self.row_ids[places], pa.uint64()), pa.table(added))

    def _annotators(self) -> Any:
        """The people of each task, sorted, each once; those not known are not named."""
        known = self.rows.select(["code", "annotator"]).filter(pc.is_valid(self.rows["annotator"]))
        order = [("code", "ascending"), ("annotator", "ascending")]
        once = known.group_by(["code", "annotator"]).aggregate([]).sort_by(order)
        sizes = np.bincount(once["code"].to_numpy(), minlength=len(self.counts))
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        names = once["annotator"].combine_chunks()
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names)


def _encoded(texts: Any) -> Any:
    return texts.combine_chunks().dictionary_encode().indices


def _changed(rows: Any) -> Any:
    return pc.coalesce(rows["updated_at"], rows["created_at"])


def _like(rows: Any, column: Any) -> Any:
    """A column of a table, or the array that a record batch wants."""
    return column if isinstance(rows, pa.Table) else column.combine_chunks()
