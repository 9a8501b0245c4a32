"""Builds everything a process needs from the configuration, and closes it again.

Used by the daemon and by every command that touches the state, an annotator or the snapshots.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from syncd.config import Config
from syncd.config import Dataset as DatasetConfig
from syncd.domain.label_configs import parse_label_config
from syncd.domain.model import Claim, Kind, Mark, ObjectRef, Observation, Settlement, Subject
from syncd.domain.planning import Policy
from syncd.domain.routing import Route, Routes, Selection
from syncd.flows.collect import collect
from syncd.flows.context import Dataset, SnapshotPolicy
from syncd.flows.ingest import ingest
from syncd.flows.snapshot import snapshot
from syncd.ports import Annotator, Clock, DatasetSpec, EventSource, ObjectStore, Seen, SnapshotStore, StateStore
from syncd.runtime.clock import SystemClock
from syncd.runtime.worker import Backoff, Pace, Pool
from syncd.snapshots.store import LanceSnapshots
from syncd.state import open_state


@dataclass
class Assembly:
    """The parts, connected. `datasets`, `snapshots` by dataset name; `annotators` and `sources` by their names."""

    config: Config
    clock: Clock
    state: StateStore
    sources: Mapping[str, EventSource]
    stores: Mapping[str, ObjectStore]
    annotators: Mapping[str, Annotator]
    datasets: Mapping[str, Dataset]
    snapshots: Mapping[str, SnapshotStore]
    routes: Routes

    async def deliver(self, seen: Sequence[Seen]) -> None:
        """Mark what a source saw, for every dataset it belongs to; durable on return."""
        linger = self.config.worker.linger
        await self.state.mark(
            [_object_mark(name, ref, sight, linger) for ref, sight in seen for name in self.routes.datasets(ref)]
        )

    def pool(self) -> Pool:
        """The workers' common ground: one flow for each kind of subject."""
        worker, retry = self.config.worker, self.config.retry
        flows = {Kind.OBJECT: self._ingest, Kind.TASK: self._collect, Kind.DATASET: self._snapshot}
        return Pool(
            self.state,
            flows,
            self.clock,
            Pace(batch=worker.batch, lease=worker.lease, linger=worker.linger),
            Backoff(first=retry.first, longest=retry.longest, give_up_after=retry.give_up_after),
        )

    async def _ingest(self, name: str, claims: Sequence[Claim]) -> list[Settlement]:
        return await ingest(self.datasets[name], claims)

    async def _collect(self, name: str, claims: Sequence[Claim]) -> list[Settlement]:
        return await collect(self.datasets[name], claims)

    async def _snapshot(self, name: str, claims: Sequence[Claim]) -> list[Settlement]:
        return await snapshot(self.datasets[name], self.snapshots[name], claims)

    def webhook_path(self, dataset: str) -> str:
        """Where the dataset's annotator posts to, such as `/webhooks/label-studio/fruits`."""
        annotator = self.config.annotators[self.config.datasets[dataset].annotator]
        return f"/webhooks/{annotator.type}/{dataset}"

    def webhook_url(self, dataset: str) -> str:
        """The same as the annotator must reach it."""
        return self.config.receiver.public_url + self.webhook_path(dataset)

    async def webhook_secret(self, dataset: str) -> str:
        """The secret our webhook for a dataset carries: made once, kept in the state."""
        name = f"webhook-secret:{dataset}"
        known = await self.state.get(name)
        if known is None:
            await self.state.put(name, known := secrets.token_urlsafe(32))
        return known


@asynccontextmanager
async def assemble(config: Config, *, exclusive: bool) -> AsyncIterator[Assembly]:
    """Everything, until the context ends. `exclusive`: as the one daemon on this state.

    Raises ConfigError for what can never work; nothing is reached over the network here.
    """
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        config.data_dir.mkdir(parents=True, exist_ok=True)
        state = await open_state(config.state.url, clock, exclusive=exclusive)
        stack.push_async_callback(state.close)
        stores: dict[str, ObjectStore] = {}
        sources = {name: p.factory(name, p.options, clock=clock) for name, p in config.sources.items()}
        for source in sources.values():
            stores |= source.stores
        annotators = {name: p.factory(p.options, clock=clock) for name, p in config.annotators.items()}
        for annotator in annotators.values():
            stack.push_async_callback(annotator.close)
        routes = _routes(config, sources)
        datasets = {
            name: _dataset(config, name, d, annotators[d.annotator], sources, routes, state, clock)
            for name, d in config.datasets.items()
        }
        yield Assembly(
            config=config,
            clock=clock,
            state=state,
            sources=sources,
            stores=stores,
            annotators=annotators,
            datasets=datasets,
            snapshots=_snapshots(config, clock),
            routes=routes,
        )


def _dataset(
    config: Config,
    name: str,
    d: DatasetConfig,
    annotator: Annotator,
    sources: Mapping[str, EventSource],
    routes: Routes,
    state: StateStore,
    clock: Clock,
) -> Dataset:
    stores = {bucket: store for source in d.sources for bucket, store in sources[source].stores.items()}
    spec = DatasetSpec(name, d.title or name, d.label_config_xml, tuple(stores), d.on_drift)
    return Dataset(
        spec=spec,
        config=parse_label_config(d.label_config_xml),
        policy=Policy(d.on_change, d.on_delete),
        snapshots=SnapshotPolicy(d.snapshots.after_changes, d.snapshots.after_quiet, d.snapshots.at_least_every),
        annotator=annotator,
        stores=stores,
        routes=routes,
        state=state,
        clock=clock,
        settle_imports=config.reconcile.settle_imports,
        text_limit=d.text_limit,
    )


def _routes(config: Config, sources: Mapping[str, EventSource]) -> Routes:
    """Every bucket of a dataset's sources leads to it, through the dataset's own selection."""
    return Routes(
        Route(name, bucket, Selection(tuple(d.include), tuple(d.exclude)))
        for name, d in config.datasets.items()
        for source in d.sources
        for bucket in sources[source].buckets
    )


def _snapshots(config: Config, clock: Clock) -> dict[str, SnapshotStore]:
    """One snapshot store per root, shared by the datasets that name it."""
    made: dict[tuple[str, str], SnapshotStore] = {}
    found: dict[str, SnapshotStore] = {}
    for name, d in config.datasets.items():
        options = d.snapshots.resolved_options(f"datasets.{name}.snapshots")
        key = (d.snapshots.url, repr(sorted(options.items())))
        if key not in made:
            made[key] = LanceSnapshots(d.snapshots.url, clock=clock, storage_options=options)
        found[name] = made[key]
    return found


def _object_mark(dataset: str, ref: ObjectRef, sight: Observation, linger: float) -> Mark:
    return Mark(Subject(Kind.OBJECT, dataset, ref.id), sight, delay=linger)

