"""What every flow is given: one configured dataset at work, and the ports it stands on.

`service` builds one `Dataset` per configured dataset. The annotator may be down when the daemon starts, so its
side of the dataset is opened on first use and kept.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import structlog

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.layout import Layout, Role, base_bucket
from syncd.domain.model import IMPORTED, ObjectRef, Observation, Record
from syncd.domain.planning import Plan, Policy, plan
from syncd.domain.routing import Routes
from syncd.domain.splits import Splits
from syncd.flows.imported_texts import ImportedTexts
from syncd.ports import Annotator, AnnotatorDataset, Clock, DatasetSpec, ObjectStore, StateStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SnapshotPolicy:
    """When staged changes become a version: after so many, after so long without one (s), at least so often (s)."""

    after_changes: int = 100
    after_quiet: float = 60.0
    at_least_every: float = 3600.0


@dataclass
class Dataset:
    """One dataset: what the configuration says of it, and its doors to the world.

    `settle_imports` (s): how long an import of unknown fate is looked up before it is sent again. `text_limit` (bytes):
    the largest object whose text is carried inside a task; `text_cut`: of larger ones the beginning is. `layout`: what
    the objects of its buckets are to it; `stores` hold the tasks' objects as it shows them, `bases` what these are made
    of. `by_itself`: keeps other daemons on the same state off what must be begun once. `observing`: for commands that
    only look: nothing is made in the annotator and no drift is mended.
    """

    spec: DatasetSpec
    config: LabelConfig
    policy: Policy
    snapshots: SnapshotPolicy
    annotator: Annotator
    stores: Mapping[str, ObjectStore]
    routes: Routes
    state: StateStore
    clock: Clock
    settle_imports: float = 30.0
    splits: Splits | None = None
    text_limit: int = 1024 * 1024
    text_cut: bool = False
    layout: Layout = field(default_factory=Layout)
    bases: Mapping[str, ObjectStore] = field(default_factory=dict)
    observing: bool = False
    importing: set[str] = field(default_factory=set, init=False)
    """Markers of the imports that this process has under way."""
    by_itself: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    _remote: AnnotatorDataset | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """The dataset's name in the configuration."""
        return self.spec.name

    def wants(self, ref: ObjectRef) -> bool:
        """Whether the configuration selects this object for the dataset; what was imported was asked for."""
        if ref.bucket.startswith(IMPORTED):
            return True
        derived = base_bucket(ref.bucket) != ref.bucket
        return self.layout.makes(ref) and (derived or self.routes.selects(self.name, ref))

    def plan(self, ref: ObjectRef, seen: Observation, records: Sequence[Record]) -> Plan:
        """As `planning.plan`; but what the configuration does not select, or not in this size, becomes no task."""
        planned = plan(self.name, ref, seen, records, self.policy)
        if planned.place and not self.wants(ref):
            return Plan(reason="not selected by the configuration")
        if planned.place and base_bucket(ref.bucket) == ref.bucket and (why := self.layout.limits.refuses(seen.size)):
            return Plan(reason=f"not selected by the configuration: {why}")
        return planned

    def store(self, bucket: str) -> ObjectStore:
        """The bucket's store. Retryable: its source was taken out of the configuration, perhaps for a while."""
        if bucket.startswith(IMPORTED):
            return ImportedTexts(self.state, self.name, bucket, self.clock)
        if not self.has(bucket):
            raise Retryable(f"no source of {self.name} has bucket {bucket} any more; configure it, or drop this")
        return self.stores.get(bucket) or self.bases[bucket]

    def has(self, bucket: str) -> bool:
        """Whether a source of the dataset has this bucket, or it is of `syncd import`."""
        return bucket.startswith(IMPORTED) or bucket in self.stores or bucket in self.bases

    def role(self, ref: ObjectRef) -> Role:
        """What an object is to the dataset."""
        return self.layout.role(ref.key) if ref.bucket in self.bases else Role.TASK

    async def remote(self) -> AnnotatorDataset:
        """The dataset inside its annotator, made there if need be.

        Raises what `Annotator.ensure_dataset` raises, and ConfigError where the dataset there is not the one that
        our records speak of.
        """
        async with self._opening:
            if self._remote is None:
                async with nullcontext() if self.observing else self.by_itself():
                    self._remote = await self._open()
                log.info("dataset.opened", dataset=self.name, url=self._remote.url)
                if self._remote.drift:
                    log.warning("dataset.drifted", dataset=self.name, drift=self._remote.drift)
            return self._remote

    @contextmanager
    def at_import(self, marker: str) -> Iterator[None]:
        """Until the context ends, an import with this marker is under way here: no other pass looks after it."""
        self.importing.add(marker)
        try:
            yield
        finally:
            self.importing.discard(marker)

    @contextmanager
    def reopened_after_config_errors(self) -> Iterator[None]:
        """After a ConfigError (a token revoked, a dataset deleted) the annotator's side is opened anew next time."""
        try:
            yield
        except ConfigError:
            self._remote = None
            raise

    async def _open(self) -> AnnotatorDataset:
        known = await self.state.get(f"remote:{self.name}")
        there = await self.annotator.find_dataset(self.spec.title)
        if known is not None and (there is None or there.identity != known):
            raise self._not_ours("is gone, or is not the one that was filled before")
        if known is None and there is not None and await _has_tasks_of_ours(there):
            raise self._not_ours(
                "holds tasks that this state knows nothing of; was the state file lost or moved? "
                "`syncd state rebuild` makes it anew"
            )
        if self.observing:
            return await self._observed(there)
        remote = await self.annotator.ensure_dataset(self.spec)
        await self.state.put(f"remote:{self.name}", remote.identity)
        return remote

    async def _observed(self, there: AnnotatorDataset | None) -> AnnotatorDataset:
        if there is None:
            raise Rejected(f"{self.spec.title!r} is not in its annotator yet; `syncd run` makes it")
        return await self.annotator.ensure_dataset(replace(self.spec, on_drift="warn"))

    def _not_ours(self, found: str) -> ConfigError:
        anew = f"to start anew, run `syncd dataset delete {self.name}` (snapshots are kept)"
        allowed = f"the dataset and the state file that belong together; bring back the missing one; {anew}"
        return ConfigError([Problem("title", f"{self.spec.title!r} {found}", allowed)])


async def _has_tasks_of_ours(remote: AnnotatorDataset) -> bool:
    async for page in remote.tasks():
        if any(task.task_key for task in page):
            return True
    return False
