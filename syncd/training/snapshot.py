"""One immutable version of a dataset, and all the ways to read it.

Given by `syncd.open_snapshot`. Synchronous, read only, safe to use while the daemon commits: a version never changes.
Each way that needs a library of its own is a module in `loaders`; this file only names them.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Unpack

import orjson

from syncd.domain.labels.configs import LabelConfig, parse_label_config
from syncd.domain.model import RowStatus, VersionInfo
from syncd.snapshots.label_configs import read_label_config
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names
from syncd.snapshots.schema import JSON_COLUMNS
from syncd.snapshots.table import Table, lance_errors
from syncd.training.extras import required
from syncd.training.query import Query, scan_of

BATCH = 256


class Snapshot:
    """One immutable version of a dataset: rows, one per annotation.

    `len()`, iteration and the reading methods give submitted rows unless another `status` is asked for;
    `retired` rows (their object changed or left later) are among them, see that column. All reading methods take
    the keyword arguments of `Query`, and raise Rejected where a status or column is none.
    """

    def __init__(self, root: Root, names: Names, info: VersionInfo, table: Table, *, uri: str) -> None:
        self._root = root
        self._names = names
        self.info: VersionInfo = info
        self.uri: str = uri
        self.lance: Any = table.lance

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.info.dataset

    @property
    def version(self) -> int:
        """3 for `v3`."""
        return self.info.number

    @property
    def name(self) -> str:
        """`v3`."""
        return self.info.name

    @property
    def schema(self) -> Any:
        """The `pyarrow.Schema`; every field's metadata has a `description`."""
        return self.lance.schema

    @cached_property
    def label_config(self) -> LabelConfig | None:
        """The label config of this version, parsed; None where it was not kept."""
        text = read_label_config(self._root, self.dataset, self.info.label_config_hash)
        return None if text is None else parse_label_config(text)

    @property
    def tags(self) -> list[str]:
        """The movable names that point at this version now (asked each time)."""
        return sorted(tag for tag, number in self._names.tags().items() if number == self.version)

    def __len__(self) -> int:
        """How many rows are submitted."""
        return self.info.by_status.get(RowStatus.SUBMITTED.value, 0)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The submitted rows, as `rows()`."""
        return self.rows()

    def batches(self, *, batch_size: int = BATCH, **query: Unpack[Query]) -> Iterator[Any]:
        """Rows as `pyarrow.RecordBatch`es of up to `batch_size` rows, in table order; JSON columns stay text."""
        return self._batches(scan_of(query, self.schema.names), batch_size)

    def _batches(self, scan: dict[str, Any], batch_size: int) -> Iterator[Any]:
        with lance_errors(f"reading {self.uri}"):
            yield from self.lance.to_batches(**scan, batch_size=batch_size)

    def rows(self, *, batch_size: int = BATCH, **query: Unpack[Query]) -> Iterator[dict[str, Any]]:
        """Rows one by one as dicts: JSON columns parsed, times as datetime, labels as a list; in table order."""
        batches = self.batches(batch_size=batch_size, **query)
        return (row for batch in batches for row in self.parsed(batch))

    @staticmethod
    def parsed(batch: Any) -> Iterator[dict[str, Any]]:
        """The rows of a `pyarrow.RecordBatch` of a snapshot as dicts, JSON columns parsed."""
        return map(_parsed, batch.to_pylist())

    def to_arrow(self, **query: Unpack[Query]) -> Any:
        """Rows as a `pyarrow.Table`; JSON columns stay text."""
        with lance_errors(f"reading {self.uri}"):
            return self.lance.to_table(**scan_of(query, self.schema.names))

    def to_pandas(self, **query: Unpack[Query]) -> Any:
        """Rows as a `pandas.DataFrame`; JSON columns stay text. ConfigError when pandas is not installed."""
        required("pandas")
        return self.to_arrow(**query).to_pandas()

    def __repr__(self) -> str:
        """Where it is from, and what is in it."""
        counts = ", ".join(f"{count} {status}" for status, count in self.info.by_status.items())
        return f"<Snapshot {self.uri}: {counts or 'no rows'}>"


def _parsed(record: dict[str, Any]) -> dict[str, Any]:
    for column in JSON_COLUMNS:
        if record.get(column) is not None:
            record[column] = orjson.loads(record[column])
    return record
