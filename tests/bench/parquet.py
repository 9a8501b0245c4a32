"""What a team has without syncd: all rows in one Parquet file (zstd), written anew for every change."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from torch.utils.data import IterableDataset

import syncd
from syncd.domain.model import StagedChange
from syncd.snapshots.schema import KEY, SCHEMA, to_table

GROUP = 20_000
"""Rows in a row group: about 20 MB, between what full scans and what random rows like."""


@dataclass
class ParquetTable:
    """The rows of a snapshot as a Parquet file."""

    path: Path
    uri: str
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        """Write the file."""
        snapshot = syncd.open_snapshot(self.uri)
        with pq.ParquetWriter(self.path, SCHEMA, compression="zstd") as writer:
            for batch in snapshot.batches(batch_size=GROUP):
                writer.write_table(pa.Table.from_batches([batch], SCHEMA), row_group_size=GROUP)
        self.rows = pq.read_metadata(self.path).num_rows

    def rewrite(self, changes: Sequence[StagedChange]) -> tuple[float, int]:
        """Seconds and bytes of writing the file anew with the changes, row group by row group, and of one sync."""
        started = time.perf_counter()
        touched = pa.array([change.annotation_id for change in changes])
        new = self.path.with_suffix(".new")
        file = pq.ParquetFile(self.path)
        with pq.ParquetWriter(new, SCHEMA, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                writer.write_table(rows.filter(pc.invert(pc.is_in(rows[KEY], touched))), row_group_size=GROUP)
            writer.write_table(to_table([change.row for change in changes if change.row]), row_group_size=GROUP)
        _sync(new)
        new.replace(self.path)
        self.rows = pq.read_metadata(self.path).num_rows
        return time.perf_counter() - started, self.path.stat().st_size

    def take(self, places: Any) -> Any:
        """The rows at these places, in their order: pyarrow's dataset reads the row groups that hold them."""
        order = np.argsort(places, kind="stable")
        found = ds.dataset(self.path).take(pa.array(np.sort(places)))
        return found.take(pa.array(np.argsort(order, kind="stable")))

    def shuffled(self, columns: Sequence[str]) -> "ParquetLoader":
        """The rows for training, as a team would write it."""
        return ParquetLoader(self.path, columns)


class ParquetLoader(IterableDataset[dict[str, Any]]):  # type: ignore[misc]  # mypy skips torch
    """Row groups in random order, the rows of each shuffled, `result` parsed."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = list(columns)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One pass."""
        chance, file = np.random.default_rng(1), pq.ParquetFile(self._path)
        for group in chance.permutation(file.num_row_groups):
            rows = file.read_row_group(group, columns=self._columns)
            for row in rows.take(pa.array(chance.permutation(rows.num_rows))).to_pylist():
                row["result"] = orjson.loads(row["result"])
                yield row


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
