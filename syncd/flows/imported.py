"""Answers from elsewhere to the tasks of their objects, once each.

Part of `ingest`, which takes answers along when it makes a task; this is for tasks that are there already, and for
what a crash left between giving and noting.
"""

from collections.abc import Mapping, Sequence

import structlog

from syncd.domain.model import ImportedAnswer, Kind, Mark, ObjectRef, Record, Subject, TaskState
from syncd.flows.context import Dataset
from syncd.ports import AnnotatorDataset, TaskHeader

log = structlog.get_logger()


async def give_imported(
    dataset: Dataset, remote: AnnotatorDataset, wanted: Mapping[ObjectRef, list[ImportedAnswer]]
) -> None:
    """Give tasks that are there what they lack.

    Answers whose object has no task (yet) go on waiting, as do those whose task a person deleted.
    """
    records = await dataset.state.records(dataset.name, list(wanted))
    for ref, answers in wanted.items():
        task = _newest_active(records.get(ref, ()))
        if task is not None and await remote.give(TaskHeader(task.task_id, task.task_key), answers):
            await note_given(dataset, {task.task_id: answers})


def _newest_active(records: Sequence[Record]) -> Record | None:
    active = [record for record in records if record.state is TaskState.ACTIVE]
    return max(active, key=lambda record: record.serial, default=None)


async def note_given(dataset: Dataset, by_task: Mapping[str, Sequence[ImportedAnswer]]) -> None:
    """They are given; have the tasks read back: annotators say nothing of answers that come with an import."""
    if not by_task:
        return
    answers = [answer for theirs in by_task.values() for answer in theirs]
    await dataset.state.mark([Mark(Subject(Kind.TASK, dataset.name, task_id)) for task_id in by_task])
    await dataset.state.given(dataset.name, answers)
    log.info("answers.imported", dataset=dataset.name, tasks=len(by_task), answers=len(answers))
