"""The annotation tool: a server of it, and one dataset inside."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.domain.events import AnnotationEvent
from syncd.domain.model import DatasetStats, ImportedAnswer, JsonObject, NewTask, ObjectRef, TaskContent, TaskState

WEBHOOK_SECRET_HEADER = "X-Syncd-Secret"  # noqa: S105 - the header's name
"""In which header an annotator shows the secret that our webhook was registered with."""


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What a dataset shall be in its annotator. `buckets` are those whose objects people must be able to see.

    `links`: tasks link to objects of the buckets although the label config takes JSON or text.
    `link`: makes what task data holds to show an object; None: what the annotator reaches by itself.

    `on_drift`: what to do when the label config there is another than ours: "refuse" (ConfigError), "warn",
    or "update".
    """

    name: str
    title: str
    label_config: str
    buckets: tuple[str, ...] = ()
    on_drift: str = "warn"
    link: Callable[[ObjectRef], str] | None = None
    links: bool = False


@dataclass(frozen=True, slots=True)
class AnnotatorInfo:
    """Who answered a ping. `time`: unix seconds by the server's clock, where it tells."""

    url: str
    version: str
    user: str
    time: float | None = None


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """Whether the annotator will call us. `reason` is for a person: why not, and what to do."""

    registered: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """One page of tasks that changed, and the cursor that stands behind it."""

    task_ids: tuple[str, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class TaskHeader:
    """A task in an id scan. `task_key` None: not made by syncd. `retired` None: not told."""

    task_id: str
    task_key: str | None
    retired: bool | None = None


@dataclass(frozen=True, slots=True)
class TaskLineage:
    """A task in a scan for what it was made of. `task_key` None: not made by syncd.

    `meta`: the `NewTask.meta` it was made with; empty where that is no more. `retired`: why it was taken out of work;
    empty while it is in work.
    """

    task_id: str
    task_key: str | None
    meta: JsonObject
    retired: str = ""


class Annotator(Protocol):
    """An annotation tool (one server of it)."""

    async def ping(self) -> AnnotatorInfo:
        """Reach the server and prove the credentials. ConfigError tells a wrong token from a wrong URL."""
        ...

    async def ensure_dataset(self, spec: DatasetSpec) -> "AnnotatorDataset":
        """Find the dataset by its exact title, or make it. Idempotent.

        Raises ConfigError when the label config is not valid there, when two datasets carry the title, or
        when it drifted and the spec says refuse.
        """
        ...

    async def find_dataset(self, title: str) -> "AnnotatorDataset | None":
        """The dataset of that exact title, unchanged; None where there is none."""
        ...

    def parse_webhook(self, body: bytes) -> AnnotationEvent:
        """The ids a webhook body of this tool speaks of; pure. Rejected: it can never become valid."""
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


class AnnotatorDataset(Protocol):
    """One dataset inside an annotator (a Label Studio project)."""

    url: str
    identity: str
    """What tells it from another dataset of the same title that was made after it was deleted."""
    drift: str
    """What differs between the label config there and ours, one line; empty where nothing does."""

    def task_data(self, ref: ObjectRef, text: str | None) -> JsonObject:
        """The label config's variables for one object; `text` is its content where `inline_text` says so.

        A label config that needs more than one text or link takes them from a JSON object: Rejected says what is
        wrong with it.
        """
        ...

    def link(self, ref: ObjectRef) -> str:
        """What task data holds to show this object. Rejected: it cannot be shown by a link."""
        ...

    @property
    def inline_text(self) -> bool:
        """Whether tasks are made of the object's text instead of a link to it."""
        ...

    async def import_tasks(self, marker: str, tasks: Sequence[NewTask]) -> list[str]:
        """Make the tasks in one request and return their ids in order. All or nothing. NOT idempotent.

        After Retryable with `effect_possible` the caller looks the marker up before it sends again. Rejected
        names the bad items in `problems` where the tool tells; nothing was made then.
        """
        ...

    async def find_by_marker(self, marker: str) -> dict[str, str]:
        """task key → task id of every task imported under the marker; empty where there is none (yet)."""
        ...

    async def retire(self, tasks: Sequence[TaskHeader], reason: str) -> list[TaskState]:
        """Take tasks out of work; their states in the order given. Idempotent.

        A task without human work (annotations or drafts) is deleted there → REMOVED; one with human work is
        kept and flagged with the reason → RETIRED; one that is not there → REMOVED. Tools may give the id of a
        deleted task away again, so a task of that id with another key is not the one meant: it is left alone, and
        the one meant → REMOVED. `task_key` None means whatever has the id.
        """
        ...

    async def restore(self, tasks: Sequence[TaskHeader]) -> None:
        """Put retired tasks back into work. Idempotent; absent ones and ids with another key are passed over."""
        ...

    async def contents(self, task_ids: Sequence[str]) -> list[TaskContent]:
        """The tasks with all their annotations, drafts and skips. Absent tasks are left out; any order."""
        ...

    async def give(self, task: TaskHeader, answers: Sequence[ImportedAnswer]) -> bool:
        """Give a task the answers it lacks. Idempotent: one that says what an answer there says is not added.

        False: the task is gone, or its id carries another key; it gets none. After Retryable with `effect_possible`
        the answer may appear later: give it again only when it has had time to.
        """
        ...

    def changed(self, cursor: str | None) -> AsyncIterator[Changed]:
        """Pages of tasks changed since the cursor (None: since ever), oldest change first.

        Overlaps: a task may be reported again. The cursor of a page is safe to store once its tasks are
        marked. Does not see deletions, nor drafts.
        """
        ...

    def tasks(self) -> AsyncIterator[Sequence[TaskHeader]]:
        """Pages of all tasks that are there, in the order of numeric ids; complete or raising."""
        ...

    def lineages(self) -> AsyncIterator[Sequence[TaskLineage]]:
        """As `tasks`, with what each was made of: what a lost state is made anew from."""
        ...

    async def ensure_webhook(self, url: str, secret: str) -> WebhookStatus:
        """Have annotation events posted to `url` with our secret in a header. Idempotent: found again, not doubled.

        One of ours whose URL has the same path is moved here, whatever its host and port. A refusal by the tool (its
        rules forbid the address) is no error: `registered` False with the reason.
        """
        ...

    async def remove_webhook(self, path: str) -> None:
        """Have events no longer posted to us: to no URL whose path is, or ends in, `path`. Idempotent."""
        ...

    async def stats(self) -> DatasetStats:
        """Counts, as the tool has them now."""
        ...

    async def delete(self) -> None:
        """Delete the dataset with all its tasks and annotations. Idempotent."""
        ...
