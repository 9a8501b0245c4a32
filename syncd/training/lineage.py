"""Where every row of a version comes from: object version → task → prediction → annotation → snapshot.

Called by `snapshot`, by exports (`lineage.jsonl`) and by `syncd lineage`. The shape is written down in `lineage`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Unpack

import orjson

from syncd.domain.errors import Rejected
from syncd.snapshots.sql import quoted
from syncd.training.query import Query

if TYPE_CHECKING:
    from syncd.training.snapshot import Snapshot

Lineage = dict[str, Any]

_ANSWER = (
    "annotator",
    "status",
    "ground_truth",
    "created_at",
    "updated_at",
    "lead_time",
    "labels",
    "digest",
    "label_config_hash",
)
_COLUMNS: dict[str, dict[str, str]] = {
    "object": {"uri": "object_uri", "bucket": "bucket", "key": "key", "etag": "etag", "version_id": "version_id"},
    "task": {"id": "task_id", "retired": "retired"},
    "prediction": {"id": "prediction_id", "model_version": "model_version"},
    "annotation": {"id": "annotation_id", **{name: name for name in _ANSWER}},
}
"""Part → name in it → column."""
_WANTED = (*dict.fromkeys(column for part in _COLUMNS.values() for column in part.values()), "split")
_ORDER = ("bucket", "key", "task_id", "annotation_id")
_AT_ONCE = 1_000


def lineage(snapshot: "Snapshot", **query: Unpack[Query]) -> Iterator[Lineage]:
    """The lineage of each row a query finds, in order of bucket, key, task and annotation.

    {"object": {"uri", "bucket", "key", "etag", "version_id"} or null, "task": {"id", "retired"},
    "prediction": {"id", "model_version"} or null, "annotation": {"id", "annotator", "status", "ground_truth",
    "created_at", "updated_at" (datetime), "lead_time" (seconds), "labels", "digest", "label_config_hash"},
    "snapshot": {"uri", "dataset", "version", "table_version", "label_config_hash", "split"}}

    Rejected: there is no such status or policy.
    """
    table = snapshot.to_arrow(**Query(**{**query, "columns": _WANTED}))
    ordered, version = table.sort_by([(name, "ascending") for name in _ORDER]), version_of(snapshot)
    return (_of(row, version) for batch in ordered.to_batches(_AT_ONCE) for row in batch.to_pylist())


def lineage_of(snapshot: "Snapshot", annotation_id: str) -> Lineage:
    """The lineage of one row, whatever its status. Rejected: the version has no such annotation."""
    for row in snapshot.small(_WANTED, f"annotation_id = {quoted(annotation_id)}").to_pylist():
        return _of(row, version_of(snapshot))
    raise Rejected(f"{snapshot.uri} has no annotation {annotation_id!r}; --object KEY shows those of an object")


def lineage_lines(snapshot: "Snapshot", **query: Unpack[Query]) -> Iterator[bytes]:
    """The same as JSON Lines, each with its line end; the same bytes each time."""
    for one in lineage(snapshot, **query):
        yield orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


def version_of(snapshot: "Snapshot") -> dict[str, Any]:
    """What names a version beyond doubt."""
    info = snapshot.info
    return {
        "uri": snapshot.uri,
        "dataset": info.dataset,
        "version": info.name,
        "table_version": info.table_version,
        "label_config_hash": info.label_config_hash,
    }


def _of(row: dict[str, Any], version: dict[str, Any]) -> Lineage:
    parts = {part: {name: row[column] for name, column in columns.items()} for part, columns in _COLUMNS.items()}
    known = {part: values if any(v is not None for v in values.values()) else None for part, values in parts.items()}
    return {**known, "snapshot": {**version, "split": row["split"]}}
