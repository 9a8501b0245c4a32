"""The ports: what syncd needs of the world, each a contract in words.

Every implementation passes the contract suite of its port (`tests/contracts/`), the in-memory ones included.
All methods are async and batch first. Unless a method says otherwise it raises `Retryable` when the other
side is down, slow or busy, and `Rejected` when the request can never succeed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from syncd.domain.events import AnnotationEvent
from syncd.domain.model import (
    Claim,
    DatasetStats,
    DeadLetter,
    Intent,
    JsonObject,
    Kind,
    Mark,
    NewTask,
    ObjectRef,
    Observation,
    Record,
    Row,
    Settlement,
    StagedChange,
    Subject,
    TaskContent,
    TaskState,
    VersionInfo,
)
from syncd.domain.routing import Selection


class Clock(Protocol):
    """Time, passed in. Tests bring a virtual one."""

    def now(self) -> float:
        """Unix seconds that never run backwards within a process, whatever the wall clock does."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


# ---------------------------------------------------------------- where events come from

Seen = tuple[ObjectRef, Observation]
Deliver = Callable[[Sequence[Seen]], Awaitable[None]]


class EventSource(Protocol):
    """Where object events come from: a folder watcher, a queue, a push receiver."""

    name: str
    stores: Mapping[str, "ObjectStore"]
    """The buckets its events may speak of, and how to look at them; events of others are dropped."""
    selection: Selection
    """Which of their keys it speaks of at all."""

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """Run until cancelled. `deliver` returns once the marks are durable: returning is the ack, raising the nack.

        Events may be lost, doubled, late and reordered; a source that knows that it lost some (a queue
        overflow) calls `rescan`, which asks for a reconcile of its bucket. Raises ConfigError when it
        can never run (the folder is not there).
        """
        ...


class ObjectStore(Protocol):
    """Object data of one bucket, read only."""

    bucket: str

    async def head(self, key: str) -> Observation:
        """What is there now. Absent, or not an object syncd may touch: an observation that is `gone`."""
        ...

    def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        """Pages of what is there, in the order of the keys' UTF-8 bytes, from behind `after`.

        Constant memory. What changes while the listing runs may or may not be seen. Raises Retryable when
        the listing cannot be completed: a partial listing never looks like a whole one.
        """
        ...

    async def get(self, key: str, *, limit: int) -> bytes:
        """The object's bytes. Rejected when it is gone or larger than `limit` bytes."""
        ...


# ---------------------------------------------------------------- the annotation tool


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """What a dataset shall be in its annotator. `buckets` are those whose objects people must be able to see.

    `on_drift`: what to do when the label config there is another than ours: "refuse" (ConfigError), "warn",
    or "update".
    """

    name: str
    title: str
    label_config: str
    buckets: tuple[str, ...] = ()
    on_drift: str = "warn"


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
    """A task in an id scan. `task_key` None: not made by syncd."""

    task_id: str
    task_key: str | None


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
    drift: str
    """What differs between the label config there and ours, one line; empty where nothing does."""

    def task_data(self, ref: ObjectRef, text: str | None) -> JsonObject:
        """The label config's variables for one object; `text` is its content where `inline_text` says so."""
        ...

    @property
    def inline_text(self) -> bool:
        """Whether tasks carry the object's text itself instead of a link to it."""
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

    async def retire(self, task_ids: Sequence[str], reason: str) -> dict[str, TaskState]:
        """Take tasks out of work. Idempotent.

        A task without human work (annotations or drafts) is deleted there → REMOVED; one with human work is
        kept and flagged with the reason → RETIRED; one that is not there → REMOVED.
        """
        ...

    async def restore(self, task_ids: Sequence[str]) -> None:
        """Put retired tasks back into work. Idempotent; absent ones are passed over."""
        ...

    async def contents(self, task_ids: Sequence[str]) -> list[TaskContent]:
        """The tasks with all their annotations, drafts and skips. Absent tasks are left out; any order."""
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

    async def ensure_webhook(self, url: str, secret: str) -> WebhookStatus:
        """Have annotation events posted to `url` with our secret in a header. Idempotent: found again, not doubled.

        A refusal by the tool (its rules forbid the address) is no error: `registered` False with the reason.
        """
        ...

    async def stats(self) -> DatasetStats:
        """Counts, as the tool has them now."""
        ...

    async def delete(self) -> None:
        """Delete the dataset with all its tasks and annotations. Idempotent."""
        ...


# ---------------------------------------------------------------- snapshots


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two versions, by annotation id; label counts before and after (submitted rows)."""

    inserted: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    labels_before: Mapping[str, int]
    labels_after: Mapping[str, int]


class SnapshotStore(Protocol):
    """Versioned rows, one table per dataset. Versions are immutable and numbered v1, v2, … without gaps."""

    async def probe(self) -> None:
        """Prove that versions can be written here. ConfigError: they cannot, and why."""
        ...

    async def commit(self, dataset: str, changes: Sequence[StagedChange], label_config_hash: str) -> VersionInfo | None:
        """Merge the changes as one new version; None when the table already holds all of them.

        Idempotent: the same changes again make no version. A crash in the middle leaves every named version
        readable, and the next commit heals the rest. Safe against another process committing at once.
        """
        ...

    async def versions(self, dataset: str) -> list[VersionInfo]:
        """All named versions, oldest first; empty where there are none."""
        ...

    async def tag(self, dataset: str, tag: str, number: int) -> None:
        """Point a movable name at a version. Idempotent. Rejected: no such version, or a name that is no tag (`v3`)."""
        ...

    async def tags(self, dataset: str) -> dict[str, int]:
        """Movable name → version number; `latest` is among them once there is a version."""
        ...

    async def rows(self, dataset: str, number: int) -> list[Row]:
        """All rows of a version in order of annotation id. For tests and small tables. Rejected: no such version."""
        ...

    async def diff(self, dataset: str, before: int, after: int) -> Diff:
        """What changed from one version to another; `before` 0 is the empty table. Rejected: no such version."""
        ...


# ---------------------------------------------------------------- the state store, in four roles


Lane = tuple[Kind, str]
"""All subjects of one kind in one dataset: what one flow takes at a time."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of one kind in one dataset waits. `oldest`: when the longest waiting subject was first marked."""

    kind: Kind
    dataset: str
    pending: int
    claimed: int
    dead: int
    oldest: float | None


class Subjects(Protocol):
    """The durable set of subjects."""

    async def mark(self, marks: Sequence[Mark]) -> None:
        """Put subjects into the set; durable on return (fsynced). Idempotent.

        The same subject again merges its observation (`planning.newer`), raises its generation, revives it
        if dead, forgets its failures, and is due at the earlier of both times (`Mark.postpone`: at the new one).
        """
        ...

    async def claim(self, *, limit: int, lease: float, avoid: Collection[Lane] = ()) -> list[Claim]:
        """Take up to `limit` due subjects of one lane (that of the longest waiting) for `lease` s.

        Lanes in `avoid` are passed over: this process is busy with them already.
        A subject is held by at most one claim; after its lease it may be claimed again, under another token.
        """
        ...

    async def renew(self, claims: Sequence[Claim], *, lease: float) -> None:
        """Hold claims for `lease` s from now. Those lost meanwhile are passed over."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Done removes the subject, again makes it due after its delay, dead puts it among the dead letters.

        A subject marked since its claim stays pending and due whatever the outcome; a settlement whose claim
        was lost to another token has no effect.
        """
        ...

    async def wait(self, timeout: float) -> None:
        """Return when a subject may have become due, or after `timeout` s. A hint: spurious returns are fine."""
        ...

    async def backlog(self) -> list[Backlog]:
        """Counts by kind and dataset."""
        ...

    async def dead_letters(self, dataset: str | None = None) -> list[DeadLetter]:
        """Subjects settled dead, oldest first."""
        ...

    async def revive(self, subjects: Sequence[Subject]) -> int:
        """Make dead letters due now; returns how many were dead."""
        ...

    async def drop(self, subjects: Sequence[Subject]) -> int:
        """Forget dead letters; returns how many were dead."""
        ...


class Records(Protocol):
    """What we did about objects, and what we are about to do."""

    async def records(self, dataset: str, refs: Sequence[ObjectRef]) -> dict[ObjectRef, list[Record]]:
        """All records of these objects by serial; objects without any are left out."""
        ...

    async def by_task(self, dataset: str, task_ids: Sequence[str]) -> dict[str, list[Record]]:
        """The records behind task ids; unknown ones are left out.

        Several under one id: an annotator may give the id of a deleted task to a new one (Label Studio on
        SQLite does); their task keys tell them apart.
        """
        ...

    async def task_keys(self, dataset: str, keys: Sequence[str]) -> set[str]:
        """Which of these task keys have a record."""
        ...

    def walk(self, dataset: str, bucket: str, *, after: str = "") -> AsyncIterator[Sequence[Record]]:
        """Pages of a bucket's records in the order of the keys' UTF-8 bytes; one object's records stay on one page."""
        ...

    def walk_tasks(self, dataset: str) -> AsyncIterator[Sequence[Record]]:
        """Pages of a dataset's records in the numeric order of their task ids."""
        ...

    async def intend(self, intent: Intent) -> None:
        """Write down an import before it is sent; durable on return."""
        ...

    async def intents(self, dataset: str) -> list[Intent]:
        """Open intents, oldest first."""
        ...

    async def record(self, records: Sequence[Record], *, fulfils: str | None = None) -> None:
        """Write records (by dataset and task key: insert or replace) and close the intent, in one transaction."""
        ...

    async def abandon(self, marker: str) -> None:
        """Close an intent that had no effect. Idempotent."""
        ...


class Staging(Protocol):
    """Rows on their way into the next snapshot version, and which annotation belongs to which task."""

    async def known(self, dataset: str, task_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """task id → annotation id → digest of the row last staged; for tasks that ever had rows."""
        ...

    async def tasks_of(self, dataset: str, annotation_ids: Sequence[str]) -> list[str]:
        """The tasks these annotations were last seen on; unknown annotations are left out."""
        ...

    async def stage(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """Put changes in, the newest per annotation id wins; durable on return. Idempotent."""
        ...

    async def staged(self, dataset: str, *, limit: int) -> list[StagedChange]:
        """Changes in staging order, with their `seq`."""
        ...

    async def staged_count(self, dataset: str) -> int:
        """How many changes wait."""
        ...

    async def committed(self, dataset: str, changes: Sequence[StagedChange]) -> None:
        """These are in a version now: take them out, unless staged anew since (another `seq`)."""
        ...


class Cursors(Protocol):
    """Small durable values: how far an incremental listing was read, secrets of our webhooks."""

    async def get(self, name: str) -> str | None:
        """The value, or None."""
        ...

    async def put(self, name: str, value: str) -> None:
        """Set the value; durable on return."""
        ...


class StateStore(Subjects, Records, Staging, Cursors, Protocol):
    """All four roles on one database, and its life."""

    async def forget(self, dataset: str) -> None:
        """Forget everything about a dataset, its cursors (names ending in `:dataset`) included. Idempotent."""
        ...

    async def close(self) -> None:
        """Finish what is under way and release the database. Idempotent."""
        ...
