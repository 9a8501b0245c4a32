"""Annotations, the rows made of them, and versions of rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.domain.model.values import JsonObject


class RowStatus(StrEnum):
    """What kind of answer a row is. Only SUBMITTED rows are training data by default."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    DRAFT = "draft"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One person's answer to one task, as read back from the annotator.

    `id` is the annotator's annotation id, or `draft-<id>` for unsubmitted work. `result` is the annotator's
    own JSON list of regions. `lead_time` in seconds. `prediction` is the copy the person started from, if any.
    """

    id: str
    task_id: str
    status: RowStatus
    result: list[JsonObject]
    annotator: str | None = None
    ground_truth: bool = False
    lead_time: float | None = None
    created_at: str | None = None
    updated_at: str | None = None
    prediction_id: str | None = None
    prediction: list[JsonObject] | None = None
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class TaskContent:
    """A task and all answers to it, as the annotator has them now."""

    task_id: str
    task_key: str | None
    data: JsonObject
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a snapshot: an annotation with its lineage. `annotation_id` is unique in a dataset.

    `result`, `data` and `prediction` are JSON text. `digest` is the sha256 (hex) of what an answer is: two rows
    with one digest are the same row. `split` (train, val, test …) is given by the snapshot store when the object's
    first row is committed, and stays. Field order here is column order in the table.
    """

    annotation_id: str
    task_id: str
    status: RowStatus
    invalid_reason: str | None
    annotator: str | None
    ground_truth: bool
    labels: tuple[str, ...]
    result: str
    data: str
    object_uri: str | None
    bucket: str | None
    key: str | None
    etag: str | None
    version_id: str | None
    retired: bool
    label_config_hash: str
    lead_time: float | None
    created_at: str | None
    updated_at: str | None
    prediction_id: str | None
    model_version: str | None
    prediction: str | None
    digest: str = ""
    split: str | None = None


@dataclass(frozen=True, slots=True)
class StagedChange:
    """A row waiting for the next snapshot version; `row` None means the annotation is gone. `seq` orders staging."""

    annotation_id: str
    task_id: str
    row: Row | None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A named snapshot version. `number` N is the `vN`; counts are of rows; `created_at` unix seconds.

    `restored_from`: the number of the version whose rows it brought back, `by` whom; else None and "".
    """

    dataset: str
    number: int
    created_at: float
    rows: int
    inserted: int
    updated: int
    deleted: int
    by_status: Mapping[str, int] = field(default_factory=dict)
    label_config_hash: str = ""
    table_version: int = 0
    restored_from: int | None = None
    by: str = ""

    @property
    def name(self) -> str:
        """`vN`."""
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class DatasetStats:
    """How far a dataset is, as its annotator counts: tasks in all, tasks with a submitted annotation, annotations."""

    tasks: int
    labelled: int
    annotations: int
    predictions: int = 0
    skipped: int = 0
