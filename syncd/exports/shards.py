"""Parquet files of one table: some for each split, of even size, with the same bytes each time.

Used by `parquet` and `huggingface`. `data/train-00000.parquet`, `data/train-00001.parquet`, `data/val-00000.parquet` …
Rows keep their order; rows without a split are to train on; what Hugging Face does not take in the name of a split
becomes `_`. zstd; row groups of 10,000 rows or about 64 MB, ten of them a file. The bytes follow from
the rows and the release of pyarrow, which writes its name into each file.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from syncd.exports.texts import UNSPLIT

FOLDER = "data"
GROUP_ROWS = 10_000
GROUP_BYTES = 64 * 1024 * 1024
GROUPS = 10

_ORDER = ("train", "val", "validation", "dev", "test")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file. `path` relative to the export; `size` in bytes."""

    path: str
    split: str
    rows: int
    size: int
    sha256: str


class Shards:
    """Writes rows as they come. One file of each split is open at a time."""

    def __init__(self, out: Path, schema: Any) -> None:
        self._out = out
        self._schema = schema
        self._splits: dict[str, _Split] = {}
        (out / FOLDER).mkdir(parents=True, exist_ok=True)

    def write(self, table: Any, splits: Sequence[str | None]) -> None:
        """Add rows, given the split of each."""
        names = [re.sub(r"\W", "_", split or UNSPLIT) for split in splits]
        known = pa.array(names, pa.string())
        for name in set(names):
            self._split(name).add(table.filter(pc.equal(known, name)))

    def close(self) -> list[Shard]:
        """All shards in order; with no rows at all, an empty one."""
        if not self._splits:
            self._split(UNSPLIT)
        return [shard for name in sorted(self._splits, key=_place) for shard in self._splits[name].close()]

    def _split(self, name: str) -> "_Split":
        if name not in self._splits:
            self._splits[name] = _Split(name, self._out, self._schema)
        return self._splits[name]


def _place(split: str) -> tuple[int, str]:
    return (_ORDER.index(split) if split in _ORDER else len(_ORDER), split)


class _Split:
    """The files of one split. Where a row group ends follows from the rows, which always come in like pieces."""

    def __init__(self, name: str, out: Path, schema: Any) -> None:
        self._name, self._out, self._schema = name, out, schema
        self._waiting = schema.empty_table()
        self._groups = 0
        self._rows = 0
        self._shards: list[Shard] = []
        self._writer: Any = None

    def add(self, rows: Any) -> None:
        """Rows wait until they are enough for a row group."""
        self._waiting = pa.concat_tables([self._waiting, rows])
        while self._waiting.num_rows >= GROUP_ROWS:
            self._flush(GROUP_ROWS)
        if _bytes(self._waiting) >= GROUP_BYTES:
            self._flush(self._waiting.num_rows)

    def close(self) -> list[Shard]:
        """What waits is written too."""
        if self._waiting.num_rows or not self._shards:
            self._flush(self._waiting.num_rows)
        self._finish()
        return self._shards

    @property
    def _path(self) -> str:
        return f"{FOLDER}/{self._name}-{len(self._shards):05d}.parquet"

    def _flush(self, rows: int) -> None:
        """The first of the waiting rows become a row group."""
        if self._writer is None:
            options = {"compression": "zstd", "compression_level": 3}
            self._writer = parquet.ParquetWriter(self._out / self._path, self._schema, **options)
        if rows:  # an empty row group makes `datasets` stumble
            self._writer.write_table(self._waiting.slice(0, rows).combine_chunks(), row_group_size=rows)
        self._waiting = self._waiting.slice(rows)
        self._rows += rows
        self._groups += 1
        if self._groups == GROUPS:
            self._finish()

    def _finish(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        path = self._out / self._path
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._shards.append(Shard(self._path, self._name, self._rows, path.stat().st_size, digest))
        self._writer, self._rows, self._groups = None, 0, 0


def _bytes(table: Any) -> int:
    """Bytes of the texts in it: a figure that does not depend on how the table lies in memory."""
    return sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in table.columns if _is_text(column.type))


def _is_text(type_: Any) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
