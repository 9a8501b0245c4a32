"""What a row is in the table: the Arrow schema, and `Row` to Arrow and back.

Called by `table` and `reader`. Every column carries its meaning in its field metadata (`description`), so that
it travels with the table: `open_snapshot(...).schema` shows it. Column names and order are those of `Row`.

`annotation_id` is declared as the table's (unenforced) primary key: only then does Lance see that two commits
at once insert the same key, and runs one of them again; without it both land and rows are doubled.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from syncd.domain.model import Row, RowStatus
from syncd.snapshots.times import TIME_COLUMNS, parse_time, time_text

KEY = "annotation_id"
JSON_COLUMNS = ("result", "data", "prediction")

_TEXT = pa.string()
_JSON = pa.large_string()  # results reach megabytes: 32-bit offsets would overflow in one batch of them
_TIME = pa.timestamp("us", "UTC")
_LABELS = pa.list_(pa.string())


def _column(name: str, type_: Any, description: str, *, null: bool = False) -> Any:
    key = {"lance-schema:unenforced-primary-key": "true"} if name == KEY else {}
    return pa.field(name, type_, nullable=null, metadata={"description": description, **key})


SCHEMA = pa.schema(
    [
        _column(KEY, _TEXT, "The annotator's annotation id, `draft-<id>` for unsubmitted work. Unique."),
        _column("task_id", _TEXT, "The annotator's task id."),
        _column("status", _TEXT, "submitted, skipped, draft or invalid; training data is what is submitted."),
        _column("invalid_reason", _TEXT, "Why an invalid row does not fit its label config.", null=True),
        _column("annotator", _TEXT, "Who answered, as the annotator names people.", null=True),
        _column("ground_truth", pa.bool_(), "Whether a reviewer made it the task's reference answer."),
        _column("labels", _LABELS, "The labels used in the answer."),
        _column("result", _JSON, "JSON list: the answer's regions as the annotator writes them."),
        _column("data", _JSON, "JSON object: the task's variables as its label config saw them."),
        _column("object_uri", _TEXT, "URI of the object that was annotated.", null=True),
        _column("bucket", _TEXT, "URL of the object's bucket.", null=True),
        _column("key", _TEXT, "The object's key in its bucket, not encoded.", null=True),
        _column("etag", _TEXT, "The object's etag when its task was made.", null=True),
        _column("version_id", _TEXT, "The object's version id then, where its bucket has versions.", null=True),
        _column("retired", pa.bool_(), "Whether the object changed or left after its task was made."),
        _column("label_config_hash", _TEXT, "sha256 (hex) of the label config the answer was checked with."),
        _column("lead_time", pa.float64(), "Seconds a person took.", null=True),
        _column("created_at", _TIME, "When the answer was made; null where unknown or not ISO 8601.", null=True),
        _column("updated_at", _TIME, "When the answer last changed; null as in created_at.", null=True),
        _column("prediction_id", _TEXT, "The prediction the person started from.", null=True),
        _column("model_version", _TEXT, "The model version that made it.", null=True),
        _column("prediction", _JSON, "JSON list: that prediction's regions.", null=True),
        _column("digest", _TEXT, "sha256 (hex) of what the answer is: equal digests, equal rows."),
        _column("split", _TEXT, "train, val, test …: the object's part, given once for all versions.", null=True),
    ]
)


def to_table(rows: Sequence[Row]) -> Any:
    """The rows as a `pyarrow.Table` of SCHEMA."""
    return pa.table({name: _values(rows, name) for name in SCHEMA.names}, schema=SCHEMA)


def _values(rows: Sequence[Row], name: str) -> list[Any]:
    values = (getattr(row, name) for row in rows)
    return [parse_time(value) for value in values] if name in TIME_COLUMNS else list(values)


def to_rows(records: Iterable[dict[str, Any]]) -> list[Row]:
    """Rows of what `pyarrow.Table.to_pylist` gives for whole rows."""
    return [_row(record) for record in records]


def _row(record: dict[str, Any]) -> Row:
    times = {name: time_text(record[name]) for name in TIME_COLUMNS}
    return Row(**{**record, **times, "status": RowStatus(record["status"]), "labels": tuple(record["labels"])})
