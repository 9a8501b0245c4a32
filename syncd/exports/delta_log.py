"""A Delta table's log over Parquet files that are there already: one JSON file, no copy of the data.

Used by `parquet`. Reader version 1, writer version 2, one commit, no deletes and no partitions: what every reader of
Delta Lake reads. https://github.com/delta-io/delta/blob/master/PROTOCOL.md
Its times are those of the version and its id follows from the files, so that the bytes are the same each time.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from syncd.domain.model import JsonObject
from syncd.exports.plain import json_text
from syncd.exports.shards import Shard

_TYPES = {"bool": "boolean", "double": "double", "int64": "long", "int32": "integer"}


def write_delta_log(name: str, schema: Any, shards: Sequence[Shard], at: float, out: Path) -> None:
    """`_delta_log/00000000000000000000.json` under `out`. `at`: unix seconds of its one commit."""
    folder = out / "_delta_log"
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(json_text(action) + b"\n" for action in _actions(name, schema, shards, int(at * 1000)))
    (folder / f"{0:020d}.json").write_bytes(lines)


def _actions(name: str, schema: Any, shards: Sequence[Shard], at: int) -> Iterator[JsonObject]:
    digest = hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).digest()
    yield {"commitInfo": {"timestamp": at, "operation": "WRITE", "operationParameters": {}}}
    yield {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    yield {
        "metaData": {
            "id": str(UUID(bytes=digest[:16], version=4)),
            "name": name,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json_text({"type": "struct", "fields": [_field(column) for column in schema]}).decode(),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": at,
        }
    }
    for shard in shards:
        yield {
            "add": {
                "path": shard.path,
                "partitionValues": {},
                "size": shard.size,
                "modificationTime": at,
                "dataChange": True,
                "stats": json_text({"numRecords": shard.rows}).decode(),
            }
        }


def _field(column: Any) -> JsonObject:
    described = (column.metadata or {}).get(b"description")
    metadata = {"comment": described.decode()} if described else {}
    return {"name": column.name, "type": _type(column.type), "nullable": True, "metadata": metadata}


def _type(type_: Any) -> Any:
    if hasattr(type_, "value_type"):
        return {"type": "array", "elementType": _type(type_.value_type), "containsNull": True}
    return "timestamp" if str(type_).startswith("timestamp") else _TYPES.get(str(type_), "string")
