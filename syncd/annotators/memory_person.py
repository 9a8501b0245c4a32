"""What a person does in the annotator in memory: the hooks by which tests submit, skip, draft, correct and delete."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

from syncd.domain.model import Annotation, ImportedAnswer, JsonObject, NewTask, RowStatus, TaskContent
from syncd.ports import Clock


@dataclass(slots=True)
class Task:
    """One task as kept here; `changed` counts up over all changes of the annotator."""

    id: int
    marker: str
    new: NewTask
    changed: int
    retired: str | None = None
    annotations: dict[str, Annotation] = field(default_factory=dict)
    predictions: list[ImportedAnswer] = field(default_factory=list)

    @property
    def content(self) -> TaskContent:
        return TaskContent(str(self.id), self.new.task_key, dict(self.new.data), tuple(self.annotations.values()))


class PersonAtWork:
    """One role of `MemoryDataset`."""

    clock: Clock
    changes: "count[int]"
    answers: "count[int]"
    work: dict[str, Task]
    """By rising id."""

    def submit(self, task_id: str, result: list[JsonObject], *, annotator: str = "1") -> str:
        """Submit an annotation; its id."""
        return self._answer(task_id, RowStatus.SUBMITTED, result, annotator)

    def skip(self, task_id: str, *, annotator: str = "1") -> str:
        """Skip the task; the annotation id."""
        return self._answer(task_id, RowStatus.SKIPPED, [], annotator)

    def draft(self, task_id: str, result: list[JsonObject], *, annotator: str = "1") -> str:
        """Leave unsubmitted work; its id. Not seen by `changed`, as in the tools."""
        return self._answer(task_id, RowStatus.DRAFT, result, annotator)

    def update_annotation(self, annotation_id: str, result: list[JsonObject]) -> None:
        """Correct an annotation."""
        task = self._holder(annotation_id)
        annotation = task.annotations[annotation_id]
        task.annotations[annotation_id] = replace(annotation, result=result, updated_at=self._now())
        task.changed = next(self.changes)

    def delete_annotation(self, annotation_id: str) -> None:
        """Delete an annotation."""
        task = self._holder(annotation_id)
        del task.annotations[annotation_id]
        task.changed = next(self.changes)

    def delete_task(self, task_id: str) -> None:
        """Delete a task with all answers, if it is there."""
        self.work.pop(task_id, None)

    def _answer(self, task_id: str, status: RowStatus, result: list[JsonObject], annotator: str) -> str:
        task, number, now = self.work[task_id], next(self.answers), self._now()
        id_ = f"draft-{number}" if status is RowStatus.DRAFT else str(number)
        task.annotations[id_] = Annotation(
            id_, task_id, status, result, annotator=annotator, created_at=now, updated_at=now
        )
        if status is not RowStatus.DRAFT:
            task.changed = next(self.changes)
        return id_

    def _holder(self, annotation_id: str) -> Task:
        return next(task for task in self.work.values() if annotation_id in task.annotations)

    def _now(self) -> str:
        instant = datetime.fromtimestamp(self.clock.now(), UTC)
        return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
