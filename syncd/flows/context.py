"""What every flow is given: one configured dataset at work, and the ports it stands on.

`service` builds one `Dataset` per configured dataset. The annotator may be down when the daemon starts, so its
side of the dataset is opened on first use and kept.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from syncd.domain.errors import ConfigError, Problem
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
                self._remote = await self._same(await self.annotator.ensure_dataset(self.spec))
                log.info("dataset.opened", dataset=self.name, url=self._remote.url)
                if self._remote.drift:
                    log.warning("dataset.drifted", dataset=self.name, drift=self._remote.drift)
            return self._remote

    @contextmanager
    def reopened_after_config_errors(self) -> Iterator[None]:
        """After a ConfigError (a token revoked, a dataset deleted) the annotator's side is opened anew next time."""
        try:
            yield
        except ConfigError:
            self._remote = None
            raise

    async def _same(self, remote: AnnotatorDataset) -> AnnotatorDataset:
        """The dataset our records speak of. A new one of the same title has none of their tasks."""
        name = f"remote:{self.name}"
        known = await self.state.get(name)
        if known is None:
            await self.state.put(name, remote.identity)
        elif known != remote.identity:
            found = f"{self.spec.title!r} is not the dataset that was filled before; was that one deleted?"
            allowed = f"the same dataset; to start anew, run `syncd dataset delete {self.name}` (snapshots are kept)"
            raise ConfigError([Problem("title", found, allowed)])
        return remote
