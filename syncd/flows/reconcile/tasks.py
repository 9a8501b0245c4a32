"""Looks at the annotator: changed tasks behind a cursor, and all task ids against records.

Memory grows only with the tasks that are not as they should be.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from syncd.domain.model import Kind, Mark, Record, Subject, TaskState
from syncd.flows.context import Dataset
from syncd.flows.merge import merge_join
from syncd.flows.rebuild import record_of
from syncd.flows.reconcile.findings import Caution, Findings
from syncd.ports import TaskHeader, TaskLineage

log = structlog.get_logger()


# ---------------------------------------------------------------- changed tasks


async def reconcile_changes(dataset: Dataset, caution: Caution) -> int:
    """Mark the tasks that changed in the annotator since the last look; returns how many were reported."""
    remote = await dataset.remote()
    name = f"changed:{dataset.name}"
    reported = 0
    async for page in remote.changed(await dataset.state.get(name)):
        reported += len(page.task_ids)
        if not caution.dry_run:
            await dataset.state.mark(_task_marks(dataset, page.task_ids))
            await dataset.state.put(name, page.cursor)
    return reported


def _task_marks(dataset: Dataset, task_ids: Sequence[str]) -> list[Mark]:
    return [Mark(Subject(Kind.TASK, dataset.name, task_id)) for task_id in task_ids]


# ---------------------------------------------------------------- all tasks


async def remake_discarded(dataset: Dataset) -> int:
    """Let objects whose task was deleted in the annotator have one again; returns how many.

    For an annotator that was restored from a backup: what it lost looks as if people had deleted it.
    """
    remade = 0
    async for page in dataset.state.walk_tasks(dataset.name):
        discarded = [(r, replace(r, state=TaskState.REMOVED)) for r in page if r.state is TaskState.DISCARDED]
        remade += len(await dataset.state.amend(discarded))
    return remade


async def reconcile_tasks(dataset: Dataset, caution: Caution) -> Findings:
    """Compare the annotator's task ids with our records.

    Tasks a person deleted are marked (their rows leave the next version). Tasks made twice for one key, which
    an import that was cut off and finished late can leave behind, are retired: deleted where nobody worked on
    them. Those that are in work there and not here, or the other way round, are decided anew. Tasks of objects that
    we have forgotten, or never knew of because their import was given up before it came, are taken in again; others
    under a key we do not know are only counted.
    """
    findings = Findings()
    gone: list[str] = []
    doubtful: list[Record] = []
    unknown: dict[str, str] = {}
    remote = await dataset.remote()
    pairs = merge_join(
        remote.tasks(), dataset.state.walk_tasks(dataset.name), lambda t: int(t.task_id), lambda r: int(r.task_id)
    )
    async with aclosing(pairs):
        async for there, ours in pairs:
            findings.seen += len(there)
            _compare(there, ours, findings, gone, unknown)
            doubtful += _doubtful(there, ours)
    findings.refused = caution.refuses(len(gone), findings.known)
    if findings.refused:
        log.error("reconcile.refused", dataset=dataset.name, reason=findings.refused)
    elif gone and not caution.dry_run:
        await dataset.state.mark(_task_marks(dataset, gone))
    if doubtful and not caution.dry_run:
        await _decide_anew(dataset, doubtful)
    await _settle_unknown(dataset, unknown, findings, caution)
    return findings


def _compare(
    there: Sequence[TaskHeader],
    ours: Sequence[Record],
    findings: Findings,
    gone: list[str],
    unknown: dict[str, str],
) -> None:
    present = [r for r in ours if r.state in (TaskState.ACTIVE, TaskState.RETIRED)]
    findings.known += len(present)
    keys = {task.task_key for task in there}
    if missing := [r.task_id for r in present if r.task_key not in keys]:
        findings.count("gone", missing[0])
        gone.append(missing[0])
    for task in there:  # an id may have been another task's before: the key tells
        if task.task_key and not any(_is_there(r, task.task_key) for r in ours):
            unknown[task.task_id] = task.task_key


def _is_there(record: Record, key: str) -> bool:
    """Whether a task of this key is recorded, and not as deleted."""
    return record.task_key == key and record.state not in (TaskState.REMOVED, TaskState.DISCARDED)


def _doubtful(there: Sequence[TaskHeader], ours: Sequence[Record]) -> list[Record]:
    """Records that are in doubt, or say otherwise than the annotator whether their task is in work."""
    retired = {task.task_key: task.retired for task in there}
    return [r for r in ours if r.state is TaskState.IN_DOUBT or _contradicts(r, retired.get(r.task_key))]


def _contradicts(record: Record, retired: bool | None) -> bool:
    return retired is not None and record.state is (TaskState.ACTIVE if retired else TaskState.RETIRED)


async def _decide_anew(dataset: Dataset, doubtful: Sequence[Record]) -> None:
    """Of a process that stood still past its lease in the middle of it: whoever comes next finishes that, and plans."""
    ours = [record for record in doubtful if dataset.has(record.ref.bucket)]
    marks = [Mark(Subject(Kind.OBJECT, dataset.name, record.ref.id)) for record in ours]
    await dataset.state.amend([(record, replace(record, state=TaskState.IN_DOUBT)) for record in ours], marks)
    log.warning("task.doubted", dataset=dataset.name, tasks=len(ours))


# ---------------------------------------------------------------- tasks without a record


async def _settle_unknown(dataset: Dataset, unknown: dict[str, str], findings: Findings, caution: Caution) -> None:
    """Of the tasks without a record, those whose key has its task already are doubles."""
    # In this order: a task recorded in between, by an import under way, must be seen as recorded.
    keys = await dataset.state.task_keys(dataset.name, list(set(unknown.values())))
    recorded = await dataset.state.by_task(dataset.name, list(unknown))
    orphaned: dict[str, str] = {}
    doubled: dict[str, str] = {}
    for task_id, key in unknown.items():
        if not any(_is_there(r, key) for r in recorded.get(task_id, [])):
            findings.count("doubled" if key in keys else "orphaned", task_id)
            (doubled if key in keys else orphaned)[task_id] = key
    if not caution.dry_run:
        await _retire_doubled(dataset, doubled)
        await _take_in(dataset, orphaned)


async def _retire_doubled(dataset: Dataset, doubled: Mapping[str, str]) -> None:
    if doubled:
        remote = await dataset.remote()
        await remote.retire([TaskHeader(task_id, key) for task_id, key in doubled.items()], "made twice")
        await dataset.state.mark(_task_marks(dataset, list(doubled)))
        log.warning("task.doubled", dataset=dataset.name, tasks=len(doubled))


async def _take_in(dataset: Dataset, orphaned: Mapping[str, str]) -> None:
    """Record tasks whose import is not under way any more, as in doubt.

    So whoever plans their objects next takes them out of work, and has a task for what is there now: a person's work
    goes on where its version is wanted, and nothing is in work twice.
    """
    intents = await dataset.state.intents(dataset.name) if orphaned else []
    importing = {placement.task_key for intent in intents for placement in intent.placements}
    wanted = {task_id for task_id, key in orphaned.items() if key not in importing}
    if not wanted:
        return
    remote = await dataset.remote()
    async for page in remote.lineages():  # all of them are asked for; but there is hardly ever one
        made = (record_of(dataset, task) for task in page if task.task_id in wanted and _is_of(dataset, task))
        records = [replace(r, state=TaskState.IN_DOUBT) for r in made if r and dataset.has(r.ref.bucket)]
        if records and (taken := await dataset.state.fulfil(None, records)):
            await dataset.state.mark([Mark(Subject(Kind.OBJECT, dataset.name, r.ref.id)) for r in taken])
            log.warning("task.taken_in", dataset=dataset.name, tasks=len(taken))


def _is_of(dataset: Dataset, task: TaskLineage) -> bool:
    said = task.meta.get("syncd")
    return isinstance(said, dict) and said.get("dataset") == dataset.name
