"""The one way to a snapshot's rows: in table order as a stream, as a table, or by row id in any order.

Called by `snapshot` for every reading method. A *row id* is Lance's stable `_rowid`: an annotation keeps it when its
row changes and when the table is compacted. Scattered rows are read by a filter on it: 10,000 of 1,000,000 take
0.25 s, where Lance's `take(offsets)` took minutes after a few upserts (pylance 14.0.2).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from syncd.domain.errors import Rejected
from syncd.snapshots.table import lance_errors
from syncd.training.query import VIEW_COLUMNS

if TYPE_CHECKING:
    from syncd.training.views import View

ROW_ID = "_rowid"
_MANY = 10_000  # row ids in one filter: its text stays far below a megabyte
_WIDE = 8_192  # rows in a batch that goes into a table: few enough that the losers of a view are soon forgotten

_ADDED = {
    "annotations": (pa.int32(), "How many rows the task has in this view."),
    "annotators": (pa.list_(pa.string()), "Who made them, sorted."),
    "agreement": (pa.float64(), "Mean agreement of its people with one another, 0 to 1; null where one answered."),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One query of one version. `view`: gives the tasks view; None where every annotation is a row."""

    lance: Any
    uri: str
    columns: Sequence[str]
    filter: str | None
    view: "Callable[[], View] | None" = None

    @property
    def schema(self) -> Any:
        """The Arrow schema of what comes."""
        there = self.lance.schema
        return pa.schema([_added_field(name) if name in VIEW_COLUMNS else there.field(name) for name in self.columns])

    def row_ids(self) -> Any:
        """The ids of the rows as a `pyarrow.UInt64Array`, ascending."""
        if self.view:
            return self.view().row_ids
        with lance_errors(f"reading {self.uri}"):
            found = self.lance.to_table(columns=[], filter=self.filter, with_row_id=True)[ROW_ID].combine_chunks()
        return found.take(pc.sort_indices(found))

    def batches(self, batch_size: int) -> Iterator[Any]:
        """The rows as `pyarrow.RecordBatch`es, in table order."""
        with lance_errors(f"reading {self.uri}"):
            if not self.view:
                yield from self.lance.to_batches(columns=self.columns, filter=self.filter, batch_size=batch_size)
                return
            view, scan = self.view(), {"columns": self._stored(), "filter": self.filter, "with_row_id": True}
            for batch in self.lance.to_batches(**scan, batch_size=batch_size):
                if (kept := view.attach(batch)).num_rows:
                    yield kept.select(self.columns)

    def table(self) -> Any:
        """The rows as a `pyarrow.Table`, in table order."""
        if self.view:
            return pa.Table.from_batches(list(self.batches(_WIDE)), self.schema)
        with lance_errors(f"reading {self.uri}"):
            return self.lance.to_table(columns=self.columns, filter=self.filter)

    def take(self, row_ids: Any) -> Any:
        """The rows of these ids as a `pyarrow.Table`, in their order. Rejected: the query has no such row."""
        ids = pa.array(row_ids, pa.uint64())
        parts = [self._taken(ids[start : start + _MANY]) for start in range(0, len(ids), _MANY)]
        return pa.concat_tables(parts) if parts else self.schema.empty_table()

    def _taken(self, ids: Any) -> Any:
        found = self._found(ids)
        places = pc.index_in(ids, found[ROW_ID])
        if places.null_count:
            raise Rejected(f"{self.uri} has no row {ids.filter(pc.is_null(places))[0]} among those asked for")
        return found.take(places).select(self.columns)

    def _found(self, ids: Any) -> Any:
        wanted = f"{ROW_ID} IN ({','.join(map(str, ids.to_pylist()))})"
        with lance_errors(f"reading {self.uri}"):
            found = self.lance.to_table(columns=self._stored(), filter=wanted, with_row_id=True)
        return self.view().attach(found) if self.view else found

    def _stored(self) -> list[str]:
        return [name for name in self.columns if name not in VIEW_COLUMNS]


def _added_field(name: str) -> Any:
    type_, description = _ADDED[name]
    return pa.field(name, type_, metadata={"description": description})


def added_type(name: str) -> Any:
    """The Arrow type of a column that a tasks view adds."""
    return _ADDED[name][0]
