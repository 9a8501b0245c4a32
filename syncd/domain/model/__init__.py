"""The words of the product as types. Every floor above speaks in these; none of them does I/O.

An *object* is bytes under a key in a bucket. A *task* is one object version waiting for a person.
A *subject* is a thing that may be out of date: an object, a task, a dataset, a delivery. Times are unix seconds (UTC).
A bucket is always a URL without trailing slash (`s3://photos`, `file:///data/photos`); a key is the raw,
decoded object name, never percent-encoded, with `/` between its parts.
"""

from syncd.domain.model.imported import IMPORTED, AnswerKind, ImportedAnswer
from syncd.domain.model.records import SIDECAR, Intent, NewTask, Placement, Record, TaskState, task_key
from syncd.domain.model.rows import Annotation, DatasetStats, Row, RowStatus, StagedChange, TaskContent, VersionInfo
from syncd.domain.model.subjects import (
    Claim,
    DeadLetter,
    Kind,
    Mark,
    ObjectRef,
    Observation,
    Outcome,
    Part,
    Settlement,
    Subject,
    Versioned,
)
from syncd.domain.model.values import JsonObject, canonical_json, digest

__all__ = [
    "IMPORTED",
    "SIDECAR",
    "Annotation",
    "AnswerKind",
    "Claim",
    "DatasetStats",
    "DeadLetter",
    "ImportedAnswer",
    "Intent",
    "JsonObject",
    "Kind",
    "Mark",
    "NewTask",
    "ObjectRef",
    "Observation",
    "Outcome",
    "Part",
    "Placement",
    "Record",
    "Row",
    "RowStatus",
    "Settlement",
    "StagedChange",
    "Subject",
    "TaskContent",
    "TaskState",
    "VersionInfo",
    "Versioned",
    "canonical_json",
    "digest",
    "task_key",
]
