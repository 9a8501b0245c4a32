"""An annotator in memory: the reference of the port, for tests and dry runs.

`MemoryAnnotator` is the annotator; each `MemoryDataset` also has the hooks of a person at work (`submit`, `skip`,
`draft`, `update_annotation`, `delete_annotation`, `delete_task`). Ids are numbers as text. As in Label Studio,
the highest task id is given away again once its task is deleted; ids of datasets and annotations are not.
Nothing survives the process; times of change come from the clock passed in.
"""

from collections.abc import AsyncIterator, Sequence
from itertools import count
from urllib.parse import urlsplit

from syncd.annotators.memory_person import PersonAtWork, Task
from syncd.domain.errors import ConfigError, Problem, Rejected
from syncd.domain.events import AnnotationEvent, parse_label_studio
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.labels.task_data import json_task_data, missing_variables
from syncd.domain.model import (
    AnswerKind,
    DatasetStats,
    ImportedAnswer,
    JsonObject,
    NewTask,
    ObjectRef,
    RowStatus,
    TaskContent,
    TaskState,
)
from syncd.ports import AnnotatorInfo, Changed, Clock, DatasetSpec, TaskHeader, TaskLineage, WebhookStatus

URL = "memory:"
PAGE_SIZE = 100
_NOBODY = ObjectRef("", "")


class MemoryAnnotator:
    """Implements `syncd.ports.Annotator`. `clock` dates the annotations."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.changes = count(1)
        self.answers = count(1)
        self._made = count(1)
        self._datasets: dict[str, MemoryDataset] = {}

    async def ping(self) -> AnnotatorInfo:
        """It is always there."""
        return AnnotatorInfo(URL, "1", "memory")

    async def ensure_dataset(self, spec: DatasetSpec) -> "MemoryDataset":
        """As the port says."""
        if parse_label_config(spec.label_config).primary is None:
            raise _config("label_config", "no tag that shows task data", "an object tag with a variable")
        dataset = self._datasets.get(spec.title) or MemoryDataset(self, spec, next(self._made))
        dataset.compare(spec)
        self._datasets[spec.title] = dataset
        return dataset

    async def find_dataset(self, title: str) -> "MemoryDataset | None":
        """As the port says."""
        return self._datasets.get(title)

    def free_task_id(self) -> int:
        """One above the highest there is."""
        return 1 + max((dataset.highest_task_id for dataset in self._datasets.values()), default=0)

    def forget(self, title: str) -> None:
        """Drop a dataset, if it is there."""
        self._datasets.pop(title, None)

    def parse_webhook(self, body: bytes) -> AnnotationEvent:
        """As the port says; it takes Label Studio's bodies."""
        return parse_label_studio(body)

    async def close(self) -> None:
        """Nothing to release."""


class MemoryDataset(PersonAtWork):
    """Implements `syncd.ports.AnnotatorDataset`, and acts as a person where a test asks for it."""

    def __init__(self, annotator: MemoryAnnotator, spec: DatasetSpec, number: int) -> None:
        self.url = f"{URL}{spec.title}"
        self.identity = f"dataset {number}"
        self.drift = ""
        self.webhooks: dict[str, str] = {}
        """URL → secret."""
        self.work: dict[str, Task] = {}
        """By rising id."""
        self._title = spec.title
        self._annotator = annotator
        self.clock, self.changes, self.answers = annotator.clock, annotator.changes, annotator.answers
        self._xml = spec.label_config
        self._link = spec.link or (lambda ref: f"{ref.bucket}/{ref.key}")

    @property
    def highest_task_id(self) -> int:
        """0 where there is no task."""
        return int(next(reversed(self.work), 0))

    def compare(self, spec: DatasetSpec) -> None:
        """Find drift, and do about it what the spec says."""
        ours, theirs = parse_label_config(spec.label_config), parse_label_config(self._xml)
        self.drift = "" if ours.hash == theirs.hash else "the label config there is another"
        if self.drift and spec.on_drift == "refuse":
            raise _config("label_config", self.drift, "the label config there, or another `on_drift`")
        if spec.on_drift == "update":
            self._xml, self.drift = spec.label_config, ""

    @property
    def inline_text(self) -> bool:
        """As the port says."""
        return parse_label_config(self._xml).inline_text

    def link(self, ref: ObjectRef) -> str:
        """As the port says: bucket URL and key."""
        return f"{ref.bucket}/{ref.key}"

    def task_data(self, ref: ObjectRef, text: str | None) -> JsonObject:
        """As the port says: the text, what its JSON holds, or bucket URL and key."""
        config = parse_label_config(self._xml)
        if config.structured:
            return json_task_data(config, text or "")
        return {config.variables[0]: text if config.inline_text else self._link(ref)}

    async def import_tasks(self, marker: str, tasks: Sequence[NewTask]) -> list[str]:
        """As the port says. Rejected names the tasks that lack variables of the label config."""
        config = parse_label_config(self._xml)
        problems = {
            index: f"lacks {', '.join(missing)}"
            for index, task in enumerate(tasks)
            if (missing := missing_variables(config, task.data))
        }
        if problems:
            raise Rejected("tasks that do not fit the label config", problems=problems)
        numbered = enumerate(tasks, self._annotator.free_task_id())
        made = [Task(id_, marker, new, next(self._annotator.changes)) for id_, new in numbered]
        self.work |= {str(task.id): task for task in made}
        for task in made:
            for answer in task.new.answers:
                self._give(task, answer)
        return [str(task.id) for task in made]

    async def find_by_marker(self, marker: str) -> dict[str, str]:
        """As the port says."""
        made = [task for task in self.work.values() if task.marker == marker]
        return {task.new.task_key: str(task.id) for task in reversed(made)}

    async def retire(self, tasks: Sequence[TaskHeader], reason: str) -> list[TaskState]:
        """As the port says."""
        return [self._retire(header, reason) for header in tasks]

    def _retire(self, header: TaskHeader, reason: str) -> TaskState:
        task = self._meant(header)
        if task is None:
            return TaskState.REMOVED
        if not task.annotations:
            self.delete_task(header.task_id)
            return TaskState.REMOVED
        task.retired = reason
        return TaskState.RETIRED

    async def restore(self, tasks: Sequence[TaskHeader]) -> None:
        """As the port says."""
        for task in filter(None, map(self._meant, tasks)):
            task.retired = None

    async def contents(self, task_ids: Sequence[str]) -> list[TaskContent]:
        """As the port says."""
        return [task.content for task in self._present(task_ids)]

    async def give(self, task: TaskHeader, answers: Sequence[ImportedAnswer]) -> bool:
        """As the port says."""
        there = self._meant(task)
        if there is None:
            return False
        known = {
            ImportedAnswer(_NOBODY, AnswerKind.ANNOTATION, tuple(a.result)).digest for a in there.annotations.values()
        }
        known |= {answer.digest for answer in there.predictions}
        for answer in answers:
            if answer.digest not in known:
                self._give(there, answer)
        return True

    def _give(self, task: Task, answer: ImportedAnswer) -> None:
        if answer.kind is AnswerKind.ANNOTATION:
            self.submit(str(task.id), list(answer.result))
        else:
            task.predictions.append(answer)

    async def changed(self, cursor: str | None) -> AsyncIterator[Changed]:
        """As the port says; overlaps by one change."""
        since = int(cursor or 0)
        tasks = sorted((t for t in self.work.values() if t.changed >= since), key=lambda task: task.changed)
        for page in _pages(tasks):
            yield Changed(tuple(str(task.id) for task in page), str(page[-1].changed))

    async def tasks(self) -> AsyncIterator[Sequence[TaskHeader]]:
        """As the port says."""
        for page in _pages(list(self.work.values())):
            yield [TaskHeader(str(t.id), t.new.task_key, t.retired is not None) for t in page]

    async def lineages(self) -> AsyncIterator[Sequence[TaskLineage]]:
        """As the port says."""
        for page in _pages(list(self.work.values())):
            yield [TaskLineage(str(t.id), t.new.task_key, dict(t.new.meta), t.retired or "") for t in page]

    async def ensure_webhook(self, url: str, secret: str) -> WebhookStatus:
        """Remembers it in `webhooks`; nothing is ever sent."""
        await self.remove_webhook(urlsplit(url).path)
        self.webhooks[url] = secret
        return WebhookStatus(True)

    async def remove_webhook(self, path: str) -> None:
        """As the port says."""
        self.webhooks = {url: secret for url, secret in self.webhooks.items() if not urlsplit(url).path.endswith(path)}

    async def stats(self) -> DatasetStats:
        """As the port says."""
        counts = [[a.status for a in task.annotations.values()] for task in self.work.values()]
        submitted = [statuses.count(RowStatus.SUBMITTED) for statuses in counts]
        return DatasetStats(
            tasks=len(self.work),
            labelled=sum(map(bool, submitted)),
            annotations=sum(submitted),
            predictions=sum(len(task.predictions) for task in self.work.values()),
            skipped=sum(statuses.count(RowStatus.SKIPPED) for statuses in counts),
        )

    async def delete(self) -> None:
        """As the port says."""
        self._annotator.forget(self._title)
        self.work.clear()

    def _meant(self, header: TaskHeader) -> Task | None:
        task = self.work.get(header.task_id)
        return task if task and header.task_key in (None, task.new.task_key) else None

    def _present(self, task_ids: Sequence[str]) -> list[Task]:
        return [self.work[task_id] for task_id in dict.fromkeys(task_ids) if task_id in self.work]


def _pages(tasks: Sequence[Task]) -> list[Sequence[Task]]:
    return [tasks[start : start + PAGE_SIZE] for start in range(0, len(tasks), PAGE_SIZE)]


def _config(name: str, found: str, allowed: str) -> ConfigError:
    return ConfigError([Problem(name, found, allowed)])
