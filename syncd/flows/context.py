"""What every flow is given: one configured dataset at work, and the ports it stands on.

`service` builds one `Dataset` per configured dataset. The annotator may be down when the daemon starts, so its
side of the dataset is opened on first use and kept.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from syncd.domain.label_configs import LabelConfig
from syncd.domain.planning import Policy
from syncd.domain.routing import Routes
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

    `settle_imports` (s): how long an import of unknown fate is looked up before it is sent again.
    `text_limit` (bytes): the largest object whose text is carried inside a task.
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
    text_limit: int = 1024 * 1024
    _remote: AnnotatorDataset | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """The dataset's name in the configuration."""
        return self.spec.name

    async def remote(self) -> AnnotatorDataset:
        """The dataset inside its annotator, made there if need be. Raises what `Annotator.ensure_dataset` raises."""
        async with self._opening:
            if self._remote is None:
                self._remote = await self.annotator.ensure_dataset(self.spec)
                log.info("dataset.opened", dataset=self.name, url=self._remote.url)
                if self._remote.drift:
                    log.warning("dataset.drifted", dataset=self.name, drift=self._remote.drift)
            return self._remote
