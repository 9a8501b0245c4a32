"""The words of the product as types. Every floor above speaks in these; none of them does I/O.

An *object* is bytes under a key in a bucket. A *task* is one object version waiting for a person.
A *subject* is a thing that may be out of date: an object, a task or a dataset. Times are unix seconds (UTC).
A bucket is always a URL without trailing slash (`s3://photos`, `file:///data/photos`); a key is the raw,
decoded object name, never percent-encoded, with `/` between its parts.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

JsonObject = dict[str, Any]


class Kind(StrEnum):
    """What a subject is; each kind has exactly one flow."""

    OBJECT = "object"
    TASK = "task"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Where an object lives."""

    bucket: str
    key: str

    @property
    def id(self) -> str:
        """The subject id: bucket URL, one space, key. A bucket URL holds no space, so it can be split again."""
        return f"{self.bucket} {self.key}"

    @classmethod
    def from_id(cls, id_: str) -> Self:
        """The inverse of `id`."""
        bucket, _, key = id_.partition(" ")
        return cls(bucket, key)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an event or a listing saw of an object.

    `sequencer` orders two observations of one key under the sender's own rule (None: no order known);
    `observed_at` is when the sight was taken and orders the rest. `gone` means the object was not there.
    `settled` is False where it may still be being written: then it is looked at again, not acted upon.
    """

    observed_at: float
    etag: str | None = None
    version_id: str | None = None
    sequencer: str | None = None
    size: int | None = None
    gone: bool = False
    settled: bool = True

    @property
    def version(self) -> str | None:
        """What tells two versions of one object apart: the version id where the bucket has them, else the etag."""
        return self.version_id or self.etag


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing that may be out of date. `id`: an ObjectRef id, a task id, or the dataset's own name."""

    kind: Kind
    dataset: str
    id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Put a subject into the set, or refresh it there. `delay`: seconds until it is due.

    A dataset subject keeps its earliest due time when marked again unless `postpone` is set.
    """

    subject: Subject
    observation: Observation | None = None
    delay: float = 0.0
    postpone: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A subject taken under a lease.

    `generation` counts marks: a settle for an older generation leaves the subject pending, because
    something was seen in between. `attempts` counts failed tries since the last mark or success;
    `failing_since` is when the first of them was.
    """

    subject: Subject
    generation: int
    observation: Observation | None = None
    attempts: int = 0
    failing_since: float | None = None
    token: str = ""


class Outcome(StrEnum):
    """How a claim was settled."""

    DONE = "done"
    AGAIN = "again"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claim. `delay` (seconds) counts for AGAIN; `failed` says whether the try counts as a failure."""

    claim: Claim
    outcome: Outcome
    reason: str = ""
    delay: float = 0.0
    failed: bool = True


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A subject settled dead: revived by a new event or by hand."""

    subject: Subject
    reason: str
    dead_at: float
    attempts: int


class TaskState(StrEnum):
    """Where a task of ours stands.

    RETIRED: taken out of work, still in the annotator because it holds human work. REMOVED: taken out by us
    and deleted there. DISCARDED: deleted there by a person; that object version gets no new task.
    """

    ACTIVE = "active"
    RETIRED = "retired"
    REMOVED = "removed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Record:
    """What we did about one object version: the task we made of it. `serial` grows with each task of one object."""

    dataset: str
    ref: ObjectRef
    task_key: str
    task_id: str
    etag: str | None
    version_id: str | None = None
    size: int | None = None
    serial: int = 0
    state: TaskState = TaskState.ACTIVE

    @property
    def version(self) -> str | None:
        """As `Observation.version`."""
        return self.version_id or self.etag


@dataclass(frozen=True, slots=True)
class Placement:
    """One planned task: which object version, and under which key the annotator will know it."""

    ref: ObjectRef
    task_key: str
    etag: str | None
    version_id: str | None
    size: int | None
    serial: int


@dataclass(frozen=True, slots=True)
class Intent:
    """What we are about to do: one bulk import under one marker. Written before the import, gone with its records."""

    dataset: str
    marker: str
    created_at: float
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as handed to an annotator. `data` holds the label config's variables, `meta` our lineage."""

    task_key: str
    data: JsonObject
    meta: JsonObject
    predictions: tuple[JsonObject, ...] = ()


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

    `result`, `data` and `prediction` are JSON text. `digest` is the sha256 (hex) of all other fields: two rows
    with one digest are the same row. Field order here is column order in the table.
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


@dataclass(frozen=True, slots=True)
class StagedChange:
    """A row waiting for the next snapshot version; `row` None means the annotation is gone. `seq` orders staging."""

    annotation_id: str
    task_id: str
    row: Row | None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A named snapshot version. `number` N is the `vN`; counts are of rows; `created_at` unix seconds."""

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


def digest(text: str) -> str:
    """The sha256 of a text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def task_key(dataset: str, ref: ObjectRef, version: str | None, serial: int) -> str:
    """The key an annotator knows a task by: 32 hex digits, the same for the same object version and serial."""
    return digest("\n".join((dataset, ref.bucket, ref.key, version or "", str(serial))))[:32]
