"""Rows for snapshot tests."""

import hashlib
from dataclasses import astuple, replace
from typing import Any

from syncd.domain.model import Row, RowStatus, StagedChange

_PLAIN = Row(
    annotation_id="",
    task_id="1",
    status=RowStatus.SUBMITTED,
    invalid_reason=None,
    annotator=None,
    ground_truth=False,
    labels=("cat",),
    result='[{"type": "choices"}]',
    data='{"image": "s3://photos/1.jpg"}',
    object_uri=None,
    bucket=None,
    key=None,
    etag=None,
    version_id=None,
    retired=False,
    label_config_hash="c",
    lead_time=None,
    created_at=None,
    updated_at=None,
    prediction_id=None,
    model_version=None,
    prediction=None,
)


def row(annotation_id: str, **fields: Any) -> Row:
    """A row with its digest; every nullable field is None unless given."""
    made = replace(_PLAIN, annotation_id=annotation_id, **fields)
    return replace(made, digest=hashlib.sha256(repr(astuple(made)).encode()).hexdigest())


def put(annotation_id: str, **fields: Any) -> StagedChange:
    """The row came or changed."""
    made = row(annotation_id, **fields)
    return StagedChange(made.annotation_id, made.task_id, made)


def gone(annotation_id: str) -> StagedChange:
    """The annotation was deleted."""
    return StagedChange(annotation_id, "1", None)
