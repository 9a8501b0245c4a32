"""Parquet files of one table: some for each split, of even size, with the same bytes each time.

Used by `parquet` and `huggingface`. `data/train-00000.parquet`, `data/train-00001.parquet`, `data/val-00000.parquet` …
Rows keep their order. Rows without a split are in `train` where no row has one (what readers ask for by default),
else in `unsplit`. zstd; row groups of at most 10,000 rows and about 64 MB, ten of them a file. The bytes follow from
the rows and the release of pyarrow, which writes its name into each file.
"""

import hashlib
import re
from collections.abc import Iterator
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


def write_shards(table: Any, splits: list[str | None], out: Path) -> list[Shard]:
    """Write the table's rows, given the split of each. An empty table is one empty file."""
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    group = min(GROUP_ROWS, max(1, GROUP_BYTES * table.num_rows // max(1, _bytes(table))))
    return [
        _write(rows.slice(start, group * GROUPS), group, split, out, f"{FOLDER}/{split}-{index:05d}.parquet")
        for split, rows in _by_split(table, splits)
        for index, start in enumerate(range(0, max(1, rows.num_rows), group * GROUPS))
    ]


def _by_split(table: Any, splits: list[str | None]) -> Iterator[tuple[str, Any]]:
    names = [_file_name(split) for split in splits]
    if not any(splits):
        yield "train", table
        return
    known = pa.array(names)
    for name in sorted(set(names), key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)):
        yield name, table.filter(pc.equal(known, name))


def _file_name(split: str | None) -> str:
    """A split's name as Hugging Face allows it."""
    return re.sub(r"\W", "_", split) if split else UNSPLIT


def _bytes(table: Any) -> int:
    """Bytes of the texts and bytes in it: a figure that does not depend on how the table lies in memory."""
    return sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in table.columns if _is_bytes(column.type))


def _is_bytes(type_: Any) -> bool:
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(check(type_) for check in checks)


def _write(rows: Any, group: int, split: str, out: Path, path: str) -> Shard:
    with parquet.ParquetWriter(out / path, rows.schema, compression="zstd", compression_level=3) as writer:
        for start in range(0, rows.num_rows, group):
            writer.write_table(rows.slice(start, group).combine_chunks(), row_group_size=group)
    with (out / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Shard(path, split, rows.num_rows, (out / path).stat().st_size, digest)
