"""A lost state made anew: what the annotator and the snapshot table still tell of a dataset, put into an empty state.

Called by `service.rebuilding`, once for each dataset, while no daemon runs. Memory does not grow with the tasks.

A task carries which version of which object it is of, and whether it was retired: that is its record. The rows of the
newest version tell which answers are known, and by their digests what of them changed since. A row whose task is not
there any more is of one that a person deleted: its object version gets no other, and the row leaves the next version.
Everything else is found as events that were lost are: cursors are left empty, so that the daemon's first looks read
all objects and all tasks.

What nothing outside tells is gone: tasks that people deleted before they had an answer in a version (their objects get
another), answers of `syncd import` that still waited for their object, deliveries that were not made yet, dead letters,
bad events that were kept, and deletions that a late event could contradict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from pydantic import BaseModel, ValidationError

from syncd.domain.errors import Rejected
from syncd.domain.model import (
    IMPORTED,
    Kind,
    Mark,
    ObjectRef,
    Part,
    Record,
    Row,
    StagedChange,
    Subject,
    TaskState,
    task_key,
)
from syncd.domain.planning import same_version
from syncd.flows.context import Dataset
from syncd.ports import SnapshotStore, TaskLineage

log = structlog.get_logger()

SAMPLE = 20
BATCH = 1_000


@dataclass
class Rebuilt:
    """What was found of a dataset, as counts, with the first few task ids of what a person has to look at.

    `rows`: answers known by the newest version. `elsewhere`: tasks of buckets that are not configured (any more);
    they have their records, and are left alone. `doubled`: second tasks of one object version; reconcile retires those
    that were made by one import twice. `unreadable`: tasks of ours that do not say what they are of (any more): they
    have no record, so their objects get another task. `foreign`: tasks that people made.
    """

    active: int = 0
    retired: int = 0
    discarded: int = 0
    rows: int = 0
    elsewhere: int = 0
    doubled: int = 0
    unreadable: int = 0
    foreign: int = 0
    samples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, task_id: str) -> None:
        """One more of a kind."""
        setattr(self, what, getattr(self, what) + 1)
        if len(ids := self.samples.setdefault(what, [])) < SAMPLE:
            ids.append(task_id)


async def rebuild(dataset: Dataset, snapshots: SnapshotStore) -> Rebuilt:
    """Write what is known of a dataset into its empty state. Not before imports of a dead daemon have had their time.

    Rejected: the dataset has versions, and is not in its annotator. Raises what the annotator and the snapshots raise.
    """
    found = Rebuilt()
    versions = await snapshots.versions(dataset.name)
    remote = await dataset.annotator.find_dataset(dataset.spec.title)
    if remote is None:
        if versions:
            raise Rejected(
                f"{dataset.name} has versions, but its annotator has no {dataset.spec.title!r}: was it renamed there? "
                "Give `title` the name it has now; or bring it back from a backup"
            )
        return found
    async for page in remote.lineages():
        await _learn_tasks(dataset, page, found)
    if versions:
        async for rows in snapshots.pages(dataset.name, versions[-1].number):
            await _learn_rows(dataset, rows, found)
    await dataset.state.put(f"remote:{dataset.name}", remote.identity)  # last: without it the daemon takes no part
    log.info("state.rebuilt", dataset=dataset.name, tasks=found.active + found.retired, rows=found.rows)
    return found


# ---------------------------------------------------------------- tasks into records


async def _learn_tasks(dataset: Dataset, page: Sequence[TaskLineage], found: Rebuilt) -> None:
    records = []
    for task in page:
        record = record_of(dataset, task)
        if record is not None:
            records.append(record)
        else:
            found.count("foreign" if task.task_key is None else "unreadable", task.task_id)
    of_objects = await dataset.state.records(dataset.name, [record.ref for record in records])
    known = {ref: {one.task_key: one for one in theirs} for ref, theirs in of_objects.items()}
    for record in records:
        _add(dataset, known.setdefault(record.ref, {}), record, found)
    await dataset.state.record([one for theirs in known.values() for one in theirs.values()])


def _add(dataset: Dataset, known: dict[str, Record], record: Record, found: Rebuilt) -> None:
    """One more record of an object. Of two tasks of one key that in work counts, then the older."""
    other = known.get(record.task_key)
    active = record.state is TaskState.ACTIVE
    if active and any(one.state is TaskState.ACTIVE and same_version(one, record) for one in known.values()):
        found.count("doubled", record.task_id)
    if other is not None and (other.state is TaskState.ACTIVE or not active):
        return
    known[record.task_key] = record
    found.active += active
    found.retired += (not active) - (other is not None)
    if not dataset.has(record.ref.bucket):
        found.count("elsewhere", record.task_id)


class _Of(BaseModel):
    """An object version as a task's meta names it."""

    bucket: str
    key: str
    etag: str | None = None
    version_id: str | None = None


class _Lineage(_Of):
    size: int | None = None
    serial: int
    parts: dict[str, _Of] = {}


def record_of(dataset: Dataset, task: TaskLineage) -> Record | None:
    """What we did, as the task tells; None where it is not ours or tells it not (any more)."""
    if task.task_key is None:
        return None
    try:
        said = _Lineage.model_validate(task.meta.get("syncd"))
    except ValidationError:
        return None
    return Record(
        dataset=dataset.name,
        ref=ObjectRef(said.bucket, said.key),
        task_key=task.task_key,
        task_id=task.task_id,
        etag=said.etag,
        version_id=said.version_id,
        size=said.size,
        serial=said.serial,
        state=TaskState.RETIRED if task.retired else TaskState.ACTIVE,
        parts=_parts(dataset, said.parts),
    )


def _parts(dataset: Dataset, said: Mapping[str, _Of]) -> tuple[Part, ...]:
    """In the order of the layout: an annotator's database may keep the members of an object in another."""
    order = list(dataset.layout.members.templates) if dataset.layout.members else []
    names = sorted(said, key=lambda name: order.index(name) if name in order else len(order))
    return tuple(
        Part(name, ObjectRef(of.bucket, of.key), of.etag, of.version_id) for name in names for of in (said[name],)
    )


# ---------------------------------------------------------------- rows into what is known


async def _learn_rows(dataset: Dataset, rows: Sequence[Row], found: Rebuilt) -> None:
    for start in range(0, len(rows), BATCH):
        page = rows[start : start + BATCH]
        await _know(dataset, page)
        await _discard(dataset, page, found)
    found.rows += len(rows)


async def _know(dataset: Dataset, rows: Sequence[Row]) -> None:
    """Staged, and in a version already: what is left of a change that was committed."""
    await dataset.state.stage(dataset.name, [StagedChange(row.annotation_id, row.task_id, row) for row in rows])
    await dataset.state.committed(dataset.name, await dataset.state.staged(dataset.name, limit=len(rows)))


async def _discard(dataset: Dataset, rows: Sequence[Row], found: Rebuilt) -> None:
    """Rows whose task we do not know: have it read; where it was an object's, a person deleted it."""
    recorded = await dataset.state.by_task(dataset.name, [row.task_id for row in rows])
    gone = {row.task_id: row for row in rows if not any(_is_of(row, r) for r in recorded.get(row.task_id, ()))}
    await dataset.state.mark([Mark(Subject(Kind.TASK, dataset.name, task_id)) for task_id in gone])
    refs = {task_id: ref for task_id, row in gone.items() if (ref := _object(dataset, row))}
    known = await dataset.state.records(dataset.name, list(refs.values()))
    for task_id, ref in refs.items():
        serial = max((record.serial for record in known.get(ref, ())), default=-1) + 1
        row = gone[task_id]
        key = task_key(dataset.name, ref, row.version_id or row.etag, serial)
        made = Record(dataset.name, ref, key, task_id, row.etag, row.version_id, None, serial, TaskState.DISCARDED)
        known.setdefault(ref, []).append(made)
        found.count("discarded", task_id)
    await dataset.state.record([r for records in known.values() for r in records if r.state is TaskState.DISCARDED])


def _is_of(row: Row, record: Record) -> bool:
    """Whether a row is of a record's object version: told by version id where both have one, else by etag."""
    media = record.media
    if (row.bucket, row.key) != (media.ref.bucket, media.ref.key):
        return False
    by_id = row.version_id and media.version_id
    return row.version_id == media.version_id if by_id else row.etag == media.etag


def _object(dataset: Dataset, row: Row) -> ObjectRef | None:
    """The object that was one task by itself; None where the row names none, or one of several."""
    if row.bucket is None or row.key is None or row.bucket.startswith(IMPORTED):
        return None
    ref = ObjectRef(row.bucket, row.key)
    return ref if dataset.layout.subject(ref) in (ref, None) else None
