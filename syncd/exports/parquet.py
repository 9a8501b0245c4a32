"""A version published for everybody: plain Parquet, and three descriptions of it over the same files.

    data/train-00000.parquet …  all rows asked for, all columns as the snapshot has them, JSON columns as text
    _delta_log/                 a Delta Lake table of the same files
    croissant.json              Croissant metadata; `mlcroissant` reads the rows by it
    README.md                   the dataset card; `datasets.load_dataset(folder)` opens the splits by it
    lineage.jsonl               for each row: object version, task, prediction, annotation (`training.lineage`)

pandas, Polars, DuckDB, Spark and all others read `data/`. The files hold no deletes and no references, need neither
syncd nor Lance, and may be copied anywhere. The options are what only people know of the dataset (`description`,
`license` …), for the card and for Croissant.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from syncd.exports.base import Format, Source
from syncd.exports.delta_log import write_delta_log
from syncd.exports.plain import json_text
from syncd.exports.shards import Shard, write_shards
from syncd.training.describe.about import OPTIONS, About, DataFile
from syncd.training.describe.card import Opening, card
from syncd.training.describe.croissant import PARQUET, croissant


def _write(source: Source, out: Path) -> None:
    info, about = source.snapshot.info, About.from_options(source.options)
    table = source.table()
    table = table.cast(_described(table.schema))
    splits = table["split"].to_pylist() if "split" in table.column_names else [None] * table.num_rows
    shards = write_shards(table, splits, out)
    files = [DataFile(shard.path, shard.size, shard.sha256, shard.split) for shard in shards]
    write_delta_log(info.dataset, table.schema, shards, info.created_at, out)
    made = croissant(info, table.schema, files, about=about, encoding=PARQUET, labels=source.labels)
    (out / "croissant.json").write_bytes(json_text(made) + b"\n")
    text = card(source.snapshot, about, opening=_opening(shards))
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _described(schema: Any) -> Any:
    """The schema with nothing but its descriptions: what Lance notes for itself stays behind."""
    return pa.schema([_field(column) for column in schema])


def _field(column: Any) -> Any:
    described = (column.metadata or {}).get(b"description")
    return column.with_metadata({"description": described} if described else None)


def _opening(shards: list[Shard]) -> Opening:
    return Opening(
        code='datasets.load_dataset("PATH_OF_THIS_FOLDER")',
        files={shard.split: f"data/{shard.split}-*.parquet" for shard in shards},
    )


FORMAT = Format(
    "parquet",
    "Parquet with Croissant metadata, a dataset card, lineage and a Delta Lake log",
    _write,
    lambda _source: None,
    per_task=False,
    options=OPTIONS,
)
