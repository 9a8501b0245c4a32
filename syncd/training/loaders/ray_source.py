"""What Ray reads a snapshot by. Imported by `loaders.ray` once Ray is known to be there.

The rows of a query are cut into parts of equal length: by offset in table order, which is the same wherever a version
is opened; in a tasks view by row id, and what the view adds travels with the task, so that it is chosen once.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from ray.data import Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from syncd.snapshots.table import lance_errors
from syncd.training.query import Query, columns_of, filter_of

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

_BATCH = 8_192
_SAMPLE = 64  # rows by which the size of all is estimated


class SnapshotSource(Datasource):  # type: ignore[misc]  # Ray is not typed
    """The rows of a query of one version."""

    def __init__(self, snapshot: "Snapshot", query: Query) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._query = query
        columns_of(query, snapshot.schema.names)  # said here what is wrong with the query, not on a worker
        self._count = len(snapshot.row_ids(**query)) if query.get("tasks") else _counted(snapshot, query)

    def get_name(self) -> str:
        """What Ray shows."""
        return f"Snapshot({self._snapshot.dataset}@{self._snapshot.name})"

    def estimate_inmemory_data_size(self) -> int:
        """Bytes, by the first rows."""
        sample = next(self._snapshot.batches(batch_size=_SAMPLE, **self._query), None)
        return self._count * sample.nbytes // sample.num_rows if sample else 0

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """One task for each part."""
        size = max(1, -(-self._count // max(1, parallelism)))
        return [
            self._task(start, min(size, self._count - start), per_task_row_limit)
            for start in range(0, self._count, size)
        ]

    def _task(self, start: int, length: int, limit: int | None) -> ReadTask:
        snapshot, query = self._snapshot, self._query
        metadata = BlockMetadata(num_rows=length, size_bytes=None, exec_stats=None)
        if query.get("tasks"):
            ids, added = snapshot.row_ids(**query), snapshot.added(**query)
            part = (ids.slice(start, length), added.slice(start, length))
            return ReadTask(lambda: _chosen(snapshot, query, *part), metadata, None, limit)
        return ReadTask(lambda: _scanned(snapshot, query, start, length), metadata, None, limit)


def _counted(snapshot: "Snapshot", query: Query) -> int:
    with lance_errors(f"reading {snapshot.uri}"):
        return int(snapshot.lance.count_rows(filter_of(query)))


def _scanned(snapshot: "Snapshot", query: Query, start: int, length: int) -> Iterator[Any]:
    scan = {"columns": columns_of(query, snapshot.schema.names), "filter": filter_of(query)}
    with lance_errors(f"reading {snapshot.uri}"):
        for batch in snapshot.lance.to_batches(**scan, offset=start, limit=length, batch_size=_BATCH):
            yield pa.Table.from_batches([batch])


def _chosen(snapshot: "Snapshot", query: Query, row_ids: Any, added: Any) -> Iterator[Any]:
    columns = columns_of(query, snapshot.schema.names)
    stored = [name for name in columns if name not in added.column_names]
    for start in range(0, len(row_ids), _BATCH):
        rows = snapshot.take(row_ids.slice(start, _BATCH), columns=stored)
        for name in added.column_names:
            rows = rows.append_column(name, added[name].slice(start, _BATCH))
        yield rows.select(columns)
