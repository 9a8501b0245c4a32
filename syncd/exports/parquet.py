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

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from syncd.exports.base import Format, Source
from syncd.exports.delta_log import write_delta_log
from syncd.exports.plain import json_text
from syncd.exports.shards import Shard, Shards
from syncd.training.describe.about import OPTIONS, About, DataFile
from syncd.training.describe.card import Opening, card
from syncd.training.describe.croissant import PARQUET, Files, croissant
from syncd.training.lineage import lineage


def _write(source: Source, out: Path) -> None:
    info, about = source.snapshot.info, About.from_options(source.options)
    shards = _shards(source, out)
    schema = parquet.read_schema(out / shards[0].path)
    files = [DataFile(shard.path, shard.size, shard.sha256, shard.split) for shard in shards]
    write_delta_log(info.dataset, schema, shards, info.created_at, out)
    made = croissant(info, schema, Files(files, PARQUET), about, source.labels)
    (out / "croissant.json").write_bytes(json_text(made) + b"\n")
    with (out / "lineage.jsonl").open("wb") as file:
        file.writelines(_lineage(source))
    text = card(source.snapshot, about, opening=_opening(shards))
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _shards(source: Source, out: Path) -> list[Shard]:
    tables = source.tables()
    first = next(tables, None)
    schema = _described(source.snapshot.to_arrow(**source.query).schema if first is None else first.schema)
    shards = Shards(out, schema)
    for table in chain([] if first is None else [first], tables):
        shards.write(table.cast(schema), table["split"].to_pylist())
    return shards.close()


def _lineage(source: Source) -> Iterator[bytes]:
    """Where the root lies now is left out: a copy of it gives the same bytes."""
    for one in lineage(source.snapshot, **source.query):
        version = {name: value for name, value in one["snapshot"].items() if name != "uri"}
        yield json_text({**one, "snapshot": version}) + b"\n"


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
