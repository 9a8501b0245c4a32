"""Annotations into staged rows: the flow for task subjects of one dataset.

Called by a worker with a batch of claims. It reads the tasks back in one request, checks each annotation against
the label config, stages what changed against what was staged last, and marks the dataset due after its snapshot
policy. What the annotator holds now is the truth: an annotation that is gone there leaves the next version.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import orjson
import structlog

from syncd.domain.checks import check, labels_of
from syncd.domain.model import (
    Annotation,
    Claim,
    Kind,
    Mark,
    Outcome,
    Record,
    Row,
    RowStatus,
    Settlement,
    StagedChange,
    Subject,
    TaskContent,
    TaskState,
    digest,
)
from syncd.flows.context import Dataset

log = structlog.get_logger()

EARLY_S = 1.0
"""After how long a task is read again whose import is not recorded yet."""


async def collect(dataset: Dataset, claims: Sequence[Claim]) -> list[Settlement]:
    """Stage what changed on these tasks. Raises Retryable and ConfigError for the whole batch."""
    ids = [claim.subject.id for claim in claims]
    remote = await dataset.remote()
    before = await dataset.state.by_task(dataset.name, ids)  # what is recorded by now, and then not there, is gone
    contents = {content.task_id: content for content in await remote.contents(ids)}
    behind, early = await _behind(dataset, list(contents.values()), before)
    known = await dataset.state.known(dataset.name, ids)
    changes: list[StagedChange] = []
    for task_id in (id_ for id_ in ids if id_ not in early):
        rows = _rows(dataset, contents.get(task_id), behind.get(task_id))
        changes.extend(_changes(task_id, known.get(task_id, {}), rows))
    await dataset.state.stage(dataset.name, changes, held=claims)
    await _discard(dataset, claims, [r for records in before.values() for r in records if not _is_of(r, contents)])
    await schedule_snapshot(dataset)
    _log_staged(dataset, changes)
    return [_early(claim) if claim.subject.id in early else Settlement(claim, Outcome.DONE) for claim in claims]


async def _behind(
    dataset: Dataset, contents: Sequence[TaskContent], before: Mapping[str, Sequence[Record]]
) -> tuple[dict[str, Record], set[str]]:
    """The record behind each task; and the tasks whose import is not recorded yet, which people may work on already.

    Rows of these would lack where they come from. What is recorded while we ask is seen by asking again.
    """
    behind = _recorded(contents, before)
    unknown = {c.task_id: c.task_key for c in contents if c.task_key and c.task_id not in behind}
    if not unknown:
        return behind, set()
    intents = await dataset.state.intents(dataset.name)
    behind |= _recorded(contents, await dataset.state.by_task(dataset.name, list(unknown)))
    importing = {placement.task_key for intent in intents for placement in intent.placements}
    return behind, {task_id for task_id, key in unknown.items() if key in importing and task_id not in behind}


def _recorded(contents: Sequence[TaskContent], records: Mapping[str, Sequence[Record]]) -> dict[str, Record]:
    """Task id → the record of just that task: the key tells it from one that had its id before."""
    keys = {content.task_id: content.task_key for content in contents}
    return {id_: r for id_, ours in records.items() for r in ours if id_ in keys and r.task_key == keys[id_]}


def _is_of(record: Record, contents: Mapping[str, TaskContent]) -> bool:
    there = contents.get(record.task_id)
    return there is not None and there.task_key == record.task_key


def _early(claim: Claim) -> Settlement:
    return Settlement(claim, Outcome.AGAIN, "its import is not recorded yet", delay=EARLY_S, failed=False)


def _changes(task_id: str, known: dict[str, str], rows: Sequence[Row]) -> Iterator[StagedChange]:
    """What differs between the rows a task has now and the digests of those staged last."""
    for row in rows:
        if known.get(row.annotation_id) != row.digest:
            yield StagedChange(row.annotation_id, task_id, row)
    for gone in known.keys() - {row.annotation_id for row in rows}:
        yield StagedChange(gone, task_id, None)


async def _discard(dataset: Dataset, claims: Sequence[Claim], absent: Sequence[Record]) -> None:
    """Tasks of ours that a person deleted in the annotator: remember it, so that they are not made again.

    Not what we take away ourselves meanwhile: its record is another by now. Nor tasks whose claim was lost: their rows
    were not staged as gone, and nobody would look for them any more.
    """
    missed = [(r, dataclasses.replace(r, state=TaskState.DISCARDED)) for r in absent if r.state in _PRESENT]
    ids = {record.task_id for record, _ in missed}
    held = [claim for claim in claims if claim.subject.id in ids]
    if missed and (discarded := await dataset.state.amend(missed, held=held)):
        log.info("task.discarded", dataset=dataset.name, tasks=len(discarded))


_PRESENT = (TaskState.ACTIVE, TaskState.RETIRED)


# ---------------------------------------------------------------- when the next version is due


async def schedule_snapshot(dataset: Dataset) -> None:
    """Mark the dataset due after its snapshot policy; nothing to do while nothing is staged."""
    waiting = await dataset.state.staged_count(dataset.name)
    if not waiting:
        return
    now = dataset.clock.now()
    first = await dataset.state.get(waiting_since(dataset.name)) or ""
    if not first:
        await dataset.state.put(waiting_since(dataset.name), first := repr(now))
    policy = dataset.snapshots
    latest = float(first) + policy.at_least_every - now
    delay = 0.0 if waiting >= policy.after_changes else max(0.0, min(policy.after_quiet, latest))
    subject = Subject(Kind.DATASET, dataset.name, dataset.name)
    await dataset.state.mark([Mark(subject, delay=delay, postpone=True)])


def waiting_since(dataset: str) -> str:
    """The cursor that holds when the oldest change not yet in a version was staged; empty after a version."""
    return f"staged-since:{dataset}"


# ---------------------------------------------------------------- rows


def _rows(dataset: Dataset, content: TaskContent | None, record: Record | None) -> list[Row]:
    if content is None:
        return []
    return [_row(dataset, content, annotation, record) for annotation in content.annotations]


def _row(dataset: Dataset, content: TaskContent, annotation: Annotation, record: Record | None) -> Row:
    """One annotation with its lineage; without a record (a task made by hand) the object columns are empty."""
    media = record.media if record else None
    invalid = None
    if annotation.status is RowStatus.SUBMITTED:
        invalid = check(annotation.result, dataset.config, content.data)
    row = Row(
        annotation_id=annotation.id,
        task_id=content.task_id,
        status=RowStatus.INVALID if invalid else annotation.status,
        invalid_reason=invalid,
        annotator=annotation.annotator,
        ground_truth=annotation.ground_truth,
        labels=labels_of(annotation.result),
        result=_json(annotation.result),
        data=_json(content.data),
        object_uri=f"{media.ref.bucket}/{media.ref.key}" if media else None,
        bucket=media.ref.bucket if media else None,
        key=media.ref.key if media else None,
        etag=media.etag if media else None,
        version_id=media.version_id if media else None,
        retired=bool(record and record.state is not TaskState.ACTIVE),
        label_config_hash=dataset.config.hash,
        lead_time=annotation.lead_time,
        created_at=annotation.created_at,
        updated_at=annotation.updated_at,
        prediction_id=annotation.prediction_id,
        model_version=annotation.model_version,
        prediction=_json(annotation.prediction) if annotation.prediction is not None else None,
    )
    return dataclasses.replace(row, digest=_digest(row))


def _digest(row: Row) -> str:
    """The sha256 of every field that the annotator gives; `updated_at` is left out.

    Label Studio moves it on updates that change nothing, and a row that says the same is the same row.
    """
    fields = dataclasses.asdict(row)
    del fields["digest"], fields["split"], fields["updated_at"]
    return digest(_json(fields))


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _log_staged(dataset: Dataset, changes: Sequence[StagedChange]) -> None:
    if changes:
        invalid = sum(1 for c in changes if c.row and c.row.status is RowStatus.INVALID)
        log.info("annotation.staged", dataset=dataset.name, changes=len(changes), invalid=invalid)
