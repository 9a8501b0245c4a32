"""One immutable version of a dataset, and all the ways to read it.

Given by `syncd.open_snapshot`. Synchronous, read only, safe to use while the daemon commits: a version never changes.
Each way that needs a library of its own is a module in `loaders`; this file only names them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig, parse_label_config
from syncd.domain.model import RowStatus, VersionInfo
from syncd.snapshots.assign import split_names
from syncd.snapshots.label_configs import read_label_config
from syncd.snapshots.location import Root
from syncd.snapshots.names import Names
from syncd.snapshots.schema import JSON_COLUMNS
from syncd.snapshots.table import Table, lance_errors
from syncd.training.extras import required
from syncd.training.history import Changes, Holding, changes, holdings
from syncd.training.lineage import Lineage, lineage, lineage_of
from syncd.training.loaders import duckdb, huggingface, polars, ray, torch
from syncd.training.loaders.torch import TorchOptions
from syncd.training.media import MEDIA_COLUMNS, Buckets, Media
from syncd.training.query import Query, columns_of, filter_of, wants_agreement
from syncd.training.reading import Reading
from syncd.training.views import View, comparable, view_of

if TYPE_CHECKING:
    from syncd.training.agreement import ControlAgreement
    from syncd.training.describe import About

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
        self.buckets = Buckets(root.options)
        self._views: dict[tuple[object, ...], View] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its URI, pinned, and its storage options, credentials among them: it is opened anew there."""
        from syncd.training.reader import reopen  # noqa: PLC0415 - the reader makes snapshots

        return reopen, (self.uri, dict(self._root.options), self.buckets)

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

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits: those of the dataset's rules, and those of its rows."""
        found = self.small(["split"], "split IS NOT NULL")["split"].unique().to_pylist()
        return tuple(sorted({*split_names(self._root, self.dataset), *found}))

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
        return self._reading(query).batches(batch_size)

    def row_ids(self, **query: Unpack[Query]) -> Any:
        """The ids of the rows, a `pyarrow.UInt64Array`, ascending: the same each time, for shuffling and sharding."""
        return self._reading(query).row_ids()

    def added(self, **query: Unpack[Query]) -> Any:
        """What a query with `tasks` adds to the rows, a `pyarrow.Table` in the order of their `row_ids`."""
        return self._view(query).added

    def take(self, row_ids: Any, **query: Unpack[Query]) -> Any:
        """The rows of these ids as a `pyarrow.Table`, in their order, repeated where an id is. JSON stays text.

        Of the query, `columns` is heeded, and `tasks` for the columns that come with it: pass the one the ids are
        from, or `columns` alone. Rejected: there is no such row.
        """
        return self._reading(query).take(row_ids)

    def _reading(self, query: Query) -> Reading:
        where, columns = filter_of(query), columns_of(query, self.schema.names)
        if (split := query.get("split")) and split not in self.splits:
            raise Rejected(f"{self.uri} has no split {split!r}; there is: {', '.join(self.splits) or 'none'}")
        view = (lambda: self._view(query)) if query.get("tasks") else None
        return Reading(self.lance, self.uri, columns, where, view)

    def _view(self, query: Query) -> View:
        """Chosen once for all readings of one query: a version never changes."""
        named = (query.get("tasks"), wants_agreement(query), filter_of(query))
        if named not in self._views:
            self._views[named] = view_of(self, query)
        return self._views[named]

    def agreement(self, **query: Unpack[Query]) -> "list[ControlAgreement]":
        """How far people agree where several answered a task, by control of the label config.

        Of the query, `status`, `split` and `retired` are heeded. ConfigError: the libraries of the extra `agreement`
        are not installed. Rejected: rows that are not submitted.
        """
        from syncd.training.agreement import agreement_by_control  # noqa: PLC0415 - numpy and answers, for few

        return agreement_by_control(self, comparable(self, query))

    def lineage(self, **query: Unpack[Query]) -> Iterator[Lineage]:
        """Where each row comes from, object version → task → prediction → annotation → snapshot, as a dict."""
        return lineage(self, **query)

    def lineage_of(self, annotation_id: str) -> Lineage:
        """The same for one row, whatever its status. Rejected: this version has no such annotation."""
        return lineage_of(self, annotation_id)

    def holdings(self, key: str, bucket: str | None = None) -> list[Holding]:
        """Which versions of the dataset hold an object, and as what: all that are left, not this one alone."""
        return holdings(self._root, self._names, key, bucket)

    def changes_since(self, version: str) -> Changes:
        """What changed from another version (`v3`, a tag) to this one. Rejected: there is none such."""
        return changes(self._root, self._names.find(version), self.info)

    def small(self, columns: Sequence[str], where: str | None) -> Any:
        """Some columns and the row ids (`_rowid`) of the rows a filter finds, as a `pyarrow.Table` in table order."""
        with lance_errors(f"reading {self.uri}"):
            return self.lance.to_table(columns=list(columns), filter=where, with_row_id=True)

    def rows(self, *, batch_size: int = BATCH, **query: Unpack[Query]) -> Iterator[dict[str, Any]]:
        """Rows one by one as dicts: JSON columns parsed, times as datetime, labels as a list; in table order."""
        batches = self.batches(batch_size=batch_size, **query)
        return (row for batch in batches for row in self.parsed(batch))

    @staticmethod
    def parsed(batch: Any) -> Iterator[dict[str, Any]]:
        """The rows of a `pyarrow.RecordBatch` of a snapshot as dicts, JSON columns parsed."""
        return map(_parsed, batch.to_pylist())

    def media(self, row: Any) -> Media:
        """The object behind a row (a dict or Series with the columns MEDIA_COLUMNS), as it was labelled; read lazily.

        Rejected: the row names no object. Opening it raises MediaChanged when it has changed since.
        """
        return self.buckets.media(row)

    def prefetch(
        self,
        rows: Iterable[Any] | None = None,
        *,
        workers: int = 16,
        progress: Callable[[Media], object] = lambda _: None,
        **query: Unpack[Query],
    ) -> int:
        """Fetch the objects of rows (default: those of the query) into the media cache, each once; how many.

        `progress` is called for each object that is there. Raises what opening one raises; MediaChanged after all
        others were fetched, naming up to ten.
        """
        query["columns"] = MEDIA_COLUMNS
        return self.buckets.prefetch(self.rows(**query) if rows is None else rows, workers=workers, progress=progress)

    def to_arrow(self, **query: Unpack[Query]) -> Any:
        """Rows as a `pyarrow.Table`; JSON columns stay text."""
        return self._reading(query).table()

    def to_pandas(self, **query: Unpack[Query]) -> Any:
        """Rows as a `pandas.DataFrame`; JSON columns stay text. ConfigError when pandas is not installed."""
        required("pandas")
        return self.to_arrow(**query).to_pandas()

    def croissant(self, about: "About | None" = None) -> dict[str, Any]:
        """Croissant metadata of this version (JSON-LD) as a dict, for `mlcroissant`. `about`: what people say."""
        from syncd.training.describe.about import About  # noqa: PLC0415 - for those who describe
        from syncd.training.describe.table import described  # noqa: PLC0415

        return described(self, self._root, about or About())

    def card(self, about: "About | None" = None) -> str:
        """The dataset card of this version: Markdown. `about`: what people say of the dataset."""
        from syncd.training.describe.card import card  # noqa: PLC0415 - for those who describe

        return card(self, about)

    def to_polars(self, **query: Unpack[Query]) -> Any:
        """Rows as a `polars.DataFrame`; JSON columns stay text."""
        return polars.to_polars(self, query)

    def to_hf(self, *, media: bool | str = False, **query: Unpack[Query]) -> Any:
        """Rows as a `datasets.Dataset` of Hugging Face; JSON columns stay text.

        `media`: a column `image`, `audio` or `video` too, opened lazily as it was labelled; True: as the label
        config says.
        """
        return huggingface.to_hf(self, query, media)

    def to_torch(self, **options: Unpack[TorchOptions]) -> Any:
        """Rows as a map-style PyTorch dataset, or an iterable one; see `TorchOptions`."""
        return torch.to_torch(self, options)

    def to_ray(self, **query: Unpack[Query]) -> Any:
        """Rows as a `ray.data.Dataset`, which Ray's workers read at this version; JSON columns stay text."""
        return ray.to_ray(self, query)

    def sql(self, statement: str, **query: Unpack[Query]) -> Any:
        """What DuckDB answers to a statement over `snapshot`: `sql("SELECT split, count(*) FROM snapshot GROUP BY 1")`.

        A `duckdb.DuckDBPyRelation`: `.fetchall()`, `.df()`, `.pl()`, `.arrow()`. It reads nothing but these rows.
        """
        return duckdb.sql(self, statement, query)

    def __repr__(self) -> str:
        """Where it is from, and what is in it."""
        counts = ", ".join(f"{count} {status}" for status, count in self.info.by_status.items())
        return f"<Snapshot {self.uri}: {counts or 'no rows'}>"


def _parsed(record: dict[str, Any]) -> dict[str, Any]:
    for column in JSON_COLUMNS:
        if record.get(column) is not None:
            record[column] = orjson.loads(record[column])
    return record
