"""The training side: open one version of a dataset and read it. What `syncd.open_snapshot` gives.

Called by training jobs and notebooks, through `syncd`. Synchronous, read only, safe to use while the daemon
commits: a version never changes. Imports nothing of the daemon.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.model import RowStatus, VersionInfo
from syncd.snapshots.location import Root, open_root
from syncd.snapshots.names import Names, version_number
from syncd.snapshots.schema import JSON_COLUMNS
from syncd.snapshots.table import Table, lance_errors, open_version

_BATCH = 256
_STATUSES = (*(status.value for status in RowStatus), "all")
_FORM = "ROOT/DATASET@VERSION, as in file:///data/snapshots/fruits@v3, s3://bucket/snapshots/fruits@latest"


def open_snapshot(uri: str | Path, *, storage_options: Mapping[str, str] | None = None) -> "Snapshot":
    """Open one version of a dataset's snapshots.

    `uri`: `ROOT/DATASET@VERSION`. ROOT is a URL (file, s3, gs, az) or a path; VERSION is `v3`, a tag such as
    `production`, or `latest`, which is meant when there is no `@`. `storage_options`: endpoint and credentials
    by their object_store names (`aws_endpoint`, `aws_access_key_id` …), where the environment does not say.

    Raises ConfigError (the URI is no such thing, or its root is not there), Rejected (no such dataset, version
    or tag: says what there is; a damaged one: says what to do), Retryable (the store did not answer).
    """
    base, dataset, version = _parse(str(uri))
    root = open_root(base, storage_options)
    names = Names(root, dataset)
    info = _find(root, names, version)
    return Snapshot(names, info, open_version(root, info), uri=f"{base}/{dataset}@{info.name}")


def _parse(uri: str) -> tuple[str, str, str]:
    base, _, last = uri.rstrip("/").rpartition("/")
    dataset, at, version = last.partition("@")
    if not dataset or (at and not version):
        raise ConfigError([Problem("uri", uri, _FORM)])
    return base if "://" in uri else Path(base).expanduser().resolve().as_uri(), dataset, version or "latest"


def _find(root: Root, names: Names, version: str) -> VersionInfo:
    newest = names.newest()
    if newest is None:
        there = ", ".join(name for name in root.folders() if Names(root, name).exist()) or "none"
        raise Rejected(f"{root.url} has no dataset {names.dataset!r} with a version; datasets there: {there}")
    if version == "latest":
        return newest
    return names.require(version_number(version) or _tagged(names, version))


def _tagged(names: Names, tag: str) -> int:
    tags = names.tags()
    if tag not in tags:
        there = ", ".join(sorted(tags))
        raise Rejected(f"dataset {names.dataset!r} has no tag {tag!r}; there is: {there}, and versions as in v1")
    return tags[tag]


class Snapshot:
    """One immutable version of a dataset: rows, one per annotation.

    `len()`, iteration and the reading methods give submitted rows unless another `status` is asked for;
    `retired` rows (their object changed or left later) are among them, see that column.
    """

    def __init__(self, names: Names, info: VersionInfo, table: Table, *, uri: str) -> None:
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

    def rows(
        self, status: str = "submitted", *, columns: Sequence[str] | None = None, batch_size: int = _BATCH
    ) -> Iterator[dict[str, Any]]:
        """Rows one by one as dicts: JSON columns parsed, times as datetime, labels as a list; in table order.

        `status`: submitted, skipped, draft, invalid or all. `columns`: only these. `batch_size`: rows read at
        a time. Rejected when a status or column is none.
        """
        return self._rows(self._query(status, columns), batch_size)

    def _rows(self, query: dict[str, Any], batch_size: int) -> Iterator[dict[str, Any]]:
        with lance_errors(f"reading {self.uri}"):
            for batch in self.lance.to_batches(**query, batch_size=batch_size):
                yield from map(_parsed, batch.to_pylist())

    def to_arrow(self, status: str = "submitted", *, columns: Sequence[str] | None = None) -> Any:
        """Rows as a `pyarrow.Table`; JSON columns stay text. Arguments as for `rows`."""
        with lance_errors(f"reading {self.uri}"):
            return self.lance.to_table(**self._query(status, columns))

    def to_pandas(self, status: str = "submitted", *, columns: Sequence[str] | None = None) -> Any:
        """Rows as a `pandas.DataFrame`; JSON columns stay text. ConfigError when pandas is not installed."""
        try:
            import pandas  # noqa: F401, PLC0415
        except ImportError:
            allowed = "installed for to_pandas: pip install 'syncd[pandas]'"
            raise ConfigError([Problem("pandas", "not installed", allowed)]) from None
        return self.to_arrow(status, columns=columns).to_pandas()

    def _query(self, status: str, columns: Iterable[str] | None) -> dict[str, Any]:
        chosen = list(self.schema.names if columns is None else columns)
        unknown = [column for column in chosen if column not in self.schema.names]
        if unknown:
            raise Rejected(f"no column {', '.join(unknown)}; there is: {', '.join(self.schema.names)}")
        if status not in _STATUSES:
            raise Rejected(f"no status {status!r}; there is: {', '.join(_STATUSES)}")
        return {"columns": chosen, "filter": None if status == "all" else f"status = '{status}'"}

    def __repr__(self) -> str:
        """Where it is from, and what is in it."""
        counts = ", ".join(f"{count} {status}" for status, count in self.info.by_status.items())
        return f"<Snapshot {self.uri}: {counts or 'no rows'}>"


def _parsed(record: dict[str, Any]) -> dict[str, Any]:
    for column in JSON_COLUMNS:
        if record.get(column) is not None:
            record[column] = orjson.loads(record[column])
    return record
