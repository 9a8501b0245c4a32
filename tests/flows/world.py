"""A whole world in memory for tests of flows: one bucket, one annotator, one state, one table; faults on wish.

`World.work` runs the flows as the daemon's workers would, until nothing is due any more; a `Crash` ends the pass
the way `kill -9` does: what was done outside stays done, what was in memory is gone, claims run out.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from syncd.annotators.memory import MemoryAnnotator, MemoryDataset
from syncd.domain.errors import Rejected, Retryable
from syncd.domain.labels import label_config
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.model import (
    Claim,
    ImportedAnswer,
    JsonObject,
    Kind,
    Mark,
    NewTask,
    ObjectRef,
    Observation,
    Settlement,
    StagedChange,
    Subject,
    VersionInfo,
)
from syncd.domain.planning import OnChange, OnDelete, Policy
from syncd.domain.routing import Route, Routes
from syncd.domain.splits import Splits
from syncd.flows.collect import collect
from syncd.flows.context import Dataset, SnapshotPolicy
from syncd.flows.ingest import ingest
from syncd.flows.reconcile import Caution, reconcile_changes, reconcile_objects, reconcile_tasks
from syncd.flows.snapshot import snapshot
from syncd.ports import DatasetSpec, TaskHeader
from syncd.runtime.retry import Backoff
from syncd.runtime.worker import Pace, Workers
from syncd.snapshots.memory import MemorySnapshots
from syncd.state import MemoryState
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock

NAME = "photos"
BUCKET = "mem://photos"
XML = label_config("image-classification", ["cat", "dog"])
CAT: list[JsonObject] = [
    {"id": "r", "type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": ["cat"]}}
]
DOG: list[JsonObject] = [{**CAT[0], "value": {"choices": ["dog"]}}]
UNICORN: list[JsonObject] = [{**CAT[0], "value": {"choices": ["unicorn"]}}]


class Crash(BaseException):
    """The process died here."""


class FaultyDataset:
    """An annotator's dataset whose imports go wrong in the ways `faults` names, in order; then they go right.

    before: refused, nothing happened · after: done, then the answer is lost · crash-before, crash-after: the
    process dies · late: the answer is lost, and it is done only when `finish_late` is called; timeout: the same after
    waiting for 300 s.
    """

    def __init__(self, inner: MemoryDataset, clock: FakeClock) -> None:
        self.inner = inner
        self.clock = clock
        self.faults: list[str] = []
        self.give_faults: list[str] = []
        self.late: list[tuple[str, list[NewTask]]] = []
        self.imports = 0
        self.refused_keys: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def import_tasks(self, marker: str, tasks: Sequence[NewTask]) -> list[str]:
        self.imports += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise Retryable("refused", effect_possible=False)
        if fault == "crash-before":
            raise Crash
        if fault == "timeout":
            self.clock.advance(300)  # that long we waited for the answer
        if fault in {"late", "timeout"}:
            self.late.append((marker, list(tasks)))
            raise Retryable("timed out")
        if self.refused_keys & {task.meta["syncd"]["key"] for task in tasks}:
            raise Rejected("one of them is bad")
        ids = await self.inner.import_tasks(marker, tasks)
        if fault == "after":
            raise Retryable("the answer was lost")
        if fault == "crash-after":
            raise Crash
        return ids

    async def give(self, task: TaskHeader, answers: Sequence[ImportedAnswer]) -> bool:
        fault = self.give_faults.pop(0) if self.give_faults else ""
        if fault == "before":
            raise Retryable("refused", effect_possible=False)
        if fault == "crash-before":
            raise Crash
        given = await self.inner.give(task, answers)
        if fault == "after":
            raise Retryable("the answer was lost")
        if fault == "crash-after":
            raise Crash
        return given

    async def finish_late(self) -> None:
        """The server gets round to what we gave up waiting for."""
        for marker, tasks in self.late:
            await self.inner.import_tasks(marker, tasks)
        self.late.clear()


class FaultySnapshots(MemorySnapshots):
    """Commits go wrong in the ways `faults` names, in order: before, after, crash-before, crash-after."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.faults: list[str] = []

    async def commit(
        self,
        dataset: str,
        changes: Sequence[StagedChange],
        label_config: str,
        splits: Splits | None = None,
        *,
        expected: int | None = None,
    ) -> VersionInfo | None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "before":
            raise Retryable("the store is down")
        if fault == "crash-before":
            raise Crash
        made = await super().commit(dataset, changes, label_config, splits, expected=expected)
        if fault == "after":
            raise Retryable("the answer was lost")
        if fault == "crash-after":
            raise Crash
        return made


class FaultyAnnotator(MemoryAnnotator):
    """Hands out one `FaultyDataset`."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.fake_clock = clock
        self.faulty: FaultyDataset | None = None

    async def ensure_dataset(self, spec: DatasetSpec) -> Any:
        self.faulty = self.faulty or FaultyDataset(await super().ensure_dataset(spec), self.fake_clock)
        return self.faulty


class World:
    """Everything, connected. `store` is the bucket, `person` the dataset with a person's hooks."""

    def __init__(
        self,
        *,
        on_change: str = "new-task",
        on_delete: str = "keep",
        xml: str = XML,
        after_changes: int = 100,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.state = MemoryState(self.clock)
        self.store = MemoryStore(BUCKET, self.clock)
        self.annotator = FaultyAnnotator(self.clock)
        self.snapshots = FaultySnapshots(self.clock)
        self.dataset = Dataset(
            spec=DatasetSpec(NAME, NAME, xml, (BUCKET,)),
            config=parse_label_config(xml),
            policy=Policy(OnChange(on_change), OnDelete(on_delete)),
            snapshots=SnapshotPolicy(after_changes=after_changes, after_quiet=60, at_least_every=600),
            annotator=self.annotator,
            stores={BUCKET: self.store},
            routes=Routes([Route(NAME, BUCKET)]),
            state=self.state,
            clock=self.clock,
            settle_imports=30,
        )

    @property
    def faulty(self) -> FaultyDataset:
        assert self.annotator.faulty
        return self.annotator.faulty

    @property
    def person(self) -> MemoryDataset:
        return self.faulty.inner

    def restart(self) -> None:
        """The process ends and starts again: what was in memory is gone."""
        self.dataset = replace(self.dataset, _remote=None)

    async def open(self) -> "World":
        """Have the dataset in the annotator."""
        await self.dataset.remote()
        return self

    # ------------------------------------------------------------ what happens

    async def put(self, key: str, data: bytes = b"x", *, lost: bool = False) -> Observation:
        """An object is written, and its event arrives, unless it is lost."""
        ref, seen = self.store.put(key, data)
        if not lost:
            await self.saw(ref, seen)
        return seen

    async def delete(self, key: str, *, lost: bool = False) -> None:
        """An object is deleted, and its event arrives, unless it is lost."""
        ref, seen = self.store.delete(key)
        if not lost:
            await self.saw(ref, seen)

    async def saw(self, ref: ObjectRef, seen: Observation) -> None:
        """An event arrives."""
        await self.state.mark([Mark(Subject(Kind.OBJECT, NAME, ref.id), seen)])

    async def webhook(self, *task_ids: str) -> None:
        """A webhook arrives."""
        await self.state.mark([Mark(Subject(Kind.TASK, NAME, task_id)) for task_id in task_ids])

    async def reconcile(self, **caution: Any) -> None:
        """All three looks, then what follows from them."""
        await reconcile_objects(self.dataset, self.store, Caution(**caution))
        await reconcile_changes(self.dataset, Caution(**caution))
        await reconcile_tasks(self.dataset, Caution(**caution))
        await self.work()

    async def work(self, *, seconds: float = 0) -> None:
        """Work until nothing is due, for so long; a crash frees the claims, as a restart does."""
        workers = self.workers()
        until = self.clock.now() + seconds
        while True:
            try:
                busy = await workers.start_one()
                await workers.finish()
            except Crash:
                self.clock.advance(61)  # the lease runs out; and with it the time an import may still take
                workers, busy = self.workers(), True
                until = max(until, self.clock.now())
            if not busy:
                if self.clock.now() >= until:
                    return
                self.clock.advance(1)

    def workers(self) -> Workers:
        """The workers of one process life."""
        flows: dict[Kind, Callable[..., Any]] = {
            Kind.OBJECT: self._ingest,
            Kind.TASK: self._collect,
            Kind.DATASET: self._snapshot,
        }
        return Workers(self.state, flows, self.clock, Pace(lease=60), Backoff(longest=10))

    async def _ingest(self, _: str, claims: Sequence[Claim]) -> list[Settlement]:
        return await ingest(self.dataset, claims)

    async def _collect(self, _: str, claims: Sequence[Claim]) -> list[Settlement]:
        return await collect(self.dataset, claims)

    async def _snapshot(self, _: str, claims: Sequence[Claim]) -> list[Settlement]:
        return await snapshot(self.dataset, self.snapshots, claims)

    # ------------------------------------------------------------ what there is

    def tasks(self) -> dict[str, list[str]]:
        """Key → ids of its tasks in the annotator."""
        found: dict[str, list[str]] = {}
        for task in self.person.work.values():
            key = task.new.meta["syncd"]["key"]
            found.setdefault(key, []).append(str(task.id))
        return found

    def task(self, key: str) -> str:
        """The one task of a key."""
        (task,) = self.tasks()[key]
        return task

    async def rows(self) -> dict[str, Any]:
        """Annotation id → row of the newest version."""
        versions = await self.snapshots.versions(NAME)
        if not versions:
            return {}
        return {row.annotation_id: row for row in await self.snapshots.rows(NAME, versions[-1].number)}
