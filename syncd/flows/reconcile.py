"""Marks what may have been missed. No second engine: it lists, compares, and marks; the other flows act.

Three looks: objects against records in key order; changed tasks behind a cursor; all task ids against records.
Memory grows only with the tasks that are not as they should be. Called by the daemon's timer and on a source's wish
(`rescan`), and by `syncd reconcile` and `syncd dataset diff`, which use `dry_run`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import structlog

from syncd.domain.model import Kind, Mark, ObjectRef, Observation, Record, Subject, TaskState
from syncd.domain.planning import plan
from syncd.flows.context import Dataset
from syncd.flows.merge import in_batches, merge_join
from syncd.ports import ObjectStore, Seen, TaskHeader

log = structlog.get_logger()

SAMPLE = 20
BATCH = 1_000
SETTLE_S = 1.0


@dataclass
class Findings:
    """What a look found, as counts, with the first few names of each kind for a person."""

    seen: int = 0
    known: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    doubled: int = 0
    orphaned: int = 0
    refused: str = ""
    """Why the deletions found were not believed; empty where they were."""
    samples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, name: str) -> None:
        """One more of a kind (`new`, `changed`, `gone`, `doubled`, `orphaned`)."""
        setattr(self, what, getattr(self, what) + 1)
        names = self.samples.setdefault(what, [])
        if len(names) < SAMPLE:
            names.append(name)


@dataclass(frozen=True, slots=True)
class Caution:
    """How much one look may take away: at most this share of what is known; a dry run marks nothing."""

    retire_limit: float = 0.5
    dry_run: bool = False
    force: bool = False

    def refuses(self, gone: int, known: int) -> str:
        """Why not to believe so many deletions at once; empty when they may be believed. One by one is always fine."""
        if self.force or gone <= max(1, int(known * self.retire_limit)):
            return ""
        return (
            f"{gone} of {known} are missing, more than retire_limit = {self.retire_limit:g} allows at once; "
            "if that is meant, run `syncd reconcile --force`"
        )


# ---------------------------------------------------------------- objects


async def reconcile_objects(dataset: Dataset, store: ObjectStore, caution: Caution) -> Findings:
    """Compare one bucket's listing with our records and mark the objects that differ.

    Missing objects are marked in a second run over the listing, when there were not too many of them.
    """
    findings = Findings()
    async with aclosing(in_batches(_differences(dataset, store, findings), BATCH)) as batches:
        async for batch in batches:
            await _mark(dataset, [(ref, seen) for ref, seen in batch if not seen.gone], caution)
    findings.refused = caution.refuses(findings.gone, findings.known)
    if findings.refused:
        log.error("reconcile.refused", dataset=dataset.name, bucket=store.bucket, reason=findings.refused)
    elif findings.gone:
        await _mark_gone(dataset, store, findings, caution)
    return findings


async def _mark_gone(dataset: Dataset, store: ObjectStore, findings: Findings, caution: Caution) -> None:
    """A second listing, which marks what is missing in it too; it may have become an outage in between."""
    again = Findings()
    async with aclosing(in_batches(_differences(dataset, store, again), BATCH)) as batches:
        async for batch in batches:
            findings.refused = caution.refuses(again.gone, findings.known)
            if findings.refused:
                return
            await _mark(dataset, [(ref, seen) for ref, seen in batch if seen.gone], caution)


async def _mark(dataset: Dataset, differing: Sequence[Seen], caution: Caution) -> None:
    """A dead letter is not tried again by a listing that sees the same version of it."""
    if differing and not caution.dry_run:
        await dataset.state.mark([_object_mark(dataset, ref, seen) for ref, seen in differing])


def _object_mark(dataset: Dataset, ref: ObjectRef, seen: Observation) -> Mark:
    subject = Subject(Kind.OBJECT, dataset.name, ref.id)
    return Mark(subject, seen, delay=0.0 if seen.settled else SETTLE_S, revive=False)


async def _differences(dataset: Dataset, store: ObjectStore, findings: Findings) -> AsyncGenerator[Seen]:
    """Every object of which the listing and our records disagree, in key order."""
    started = dataset.clock.now()
    records = dataset.state.walk(dataset.name, store.bucket)
    pairs = merge_join(store.list(), records, lambda s: s[0].key.encode(), lambda r: r.ref.key.encode())
    async with aclosing(pairs):
        async for listed, known in pairs:
            ref, seen = listed[0] if listed else (known[0].ref, Observation(started, gone=True))
            if known or dataset.wants(ref):
                findings.seen += bool(listed)
                findings.known += any(r.state is TaskState.ACTIVE for r in known)
                if what := _difference(dataset, ref, seen, known):
                    findings.count(what, ref.key)
                    yield ref, seen


def _difference(dataset: Dataset, ref: ObjectRef, seen: Observation, known: Sequence[Record]) -> str:
    """`new`, `changed`, `gone`, or empty where nothing is to be done."""
    planned = plan(dataset.name, ref, seen, known, dataset.policy)
    if (planned.place and dataset.wants(ref)) or planned.restore:
        return "changed" if any(r.state is TaskState.ACTIVE for r in known) else "new"
    if planned.retire:
        return "gone" if seen.gone else "changed"
    return ""


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
        discarded = [replace(r, state=TaskState.REMOVED) for r in page if r.state is TaskState.DISCARDED]
        await dataset.state.record(discarded)
        remade += len(discarded)
    return remade


async def reconcile_tasks(dataset: Dataset, caution: Caution) -> Findings:
    """Compare the annotator's task ids with our records.

    Tasks a person deleted are marked (their rows leave the next version). Tasks made twice for one key, which
    an import that was cut off and finished late can leave behind, are retired: deleted where nobody worked on
    them. Tasks under a key we do not know are only counted.
    """
    findings = Findings()
    gone: list[str] = []
    unknown: dict[str, str] = {}
    remote = await dataset.remote()
    pairs = merge_join(
        remote.tasks(), dataset.state.walk_tasks(dataset.name), lambda t: int(t.task_id), lambda r: int(r.task_id)
    )
    async with aclosing(pairs):
        async for there, ours in pairs:
            findings.seen += len(there)
            _compare(there, ours, findings, gone, unknown)
    findings.refused = caution.refuses(len(gone), findings.known)
    if findings.refused:
        log.error("reconcile.refused", dataset=dataset.name, reason=findings.refused)
    elif gone and not caution.dry_run:
        await dataset.state.mark(_task_marks(dataset, gone))
    await _retire_doubled(dataset, unknown, findings, caution)
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
        if task.task_key and not any(r.task_key == task.task_key for r in ours):
            unknown[task.task_id] = task.task_key


async def _retire_doubled(dataset: Dataset, unknown: dict[str, str], findings: Findings, caution: Caution) -> None:
    """Of the tasks without a record, those whose key has its task already are doubles."""
    # In this order: a task recorded in between, by an import under way, must be seen as recorded.
    keys = await dataset.state.task_keys(dataset.name, list(set(unknown.values())))
    recorded = await dataset.state.by_task(dataset.name, list(unknown))
    doubled = []
    for task_id, key in unknown.items():
        if not any(r.task_key == key for r in recorded.get(task_id, [])):
            findings.count("doubled" if key in keys else "orphaned", task_id)
            doubled += [task_id] if key in keys else []
    if doubled and not caution.dry_run:
        remote = await dataset.remote()
        await remote.retire([TaskHeader(task_id, unknown[task_id]) for task_id in doubled], "made twice")
        await dataset.state.mark(_task_marks(dataset, doubled))
        log.warning("task.doubled", dataset=dataset.name, tasks=len(doubled))
