"""Builds everything a process needs from the configuration, and closes it again.

Used by the daemon and by every command that touches the state, an annotator or the snapshots.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from syncd.config import Config, Plugin
from syncd.config import Dataset as DatasetConfig
from syncd.domain.errors import ConfigError, Problem
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.model import Claim, Kind, Mark, Outcome, Settlement, Subject
from syncd.domain.notifications import BadEvent
from syncd.domain.planning import Policy
from syncd.domain.routing import Route, Routes, Selection
from syncd.flows.announce import Announcer
from syncd.flows.collect import collect
from syncd.flows.context import Dataset, SnapshotPolicy
from syncd.flows.deliver import Deliverer
from syncd.flows.ingest import ingest
from syncd.flows.snapshot import snapshot
from syncd.ports import (
    Annotator,
    AnnotatorDataset,
    AnnotatorInfo,
    Clock,
    DatasetSpec,
    EventSource,
    ObjectStore,
    Seen,
    SnapshotStore,
    StateStore,
)
from syncd.runtime.clock import SystemClock
from syncd.runtime.retry import Backoff
from syncd.runtime.worker import Flow, Pace, Workers
from syncd.service.triggers import by_lane, delivery_backoff, make_announcers
from syncd.snapshots.store import LanceSnapshots
from syncd.state import open_state
from syncd.stores import Stores

DatasetFlow = Callable[[Dataset, Sequence[Claim]], Awaitable[list[Settlement]]]

UNCONFIGURED_S = 300.0


@dataclass
class Assembly:
    """The parts, connected. `datasets`, `snapshots` by dataset name; `annotators` and `sources` by their names."""

    config: Config
    clock: Clock
    state: StateStore
    sources: Mapping[str, EventSource]
    annotators: Mapping[str, Annotator]
    datasets: Mapping[str, Dataset]
    snapshots: Mapping[str, SnapshotStore]
    routes: Routes
    announcers: Mapping[str, Announcer] = field(default_factory=dict)
    """Of those datasets that have triggers."""

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        """Mark what a source saw, for every dataset it belongs to; durable on return."""
        linger = self.config.worker.linger
        marks = [
            Mark(Subject(Kind.OBJECT, name, ref.id), sight, delay=linger)
            for ref, sight in seen
            for name in self.routes.datasets(ref)
        ]
        await self.state.mark(marks)

    def workers(self) -> Workers:
        """The workers, with one flow for each kind of subject."""
        worker, retry, deliveries = self.config.worker, self.config.retry, delivery_backoff(self.config)
        flows: dict[Kind, Flow] = {
            Kind.OBJECT: partial(self._run, ingest),
            Kind.TASK: partial(self._run, collect),
            Kind.DATASET: partial(self._run, self._snapshot),
            Kind.DELIVERY: Deliverer(self.state, self.clock, by_lane(self.announcers), deliveries.delay).deliver,
        }
        backoff = Backoff(first=retry.first, longest=retry.longest, give_up_after=retry.give_up_after)
        backoffs = {**dict.fromkeys(Kind, backoff), Kind.DELIVERY: deliveries}
        return Workers(self.state, flows, self.clock, Pace(batch=worker.batch, lease=worker.lease), backoffs)

    async def _run(self, flow: DatasetFlow, name: str, claims: Sequence[Claim]) -> list[Settlement]:
        """The flow on its dataset. Subjects of a dataset that is not configured wait: it may come back."""
        if name not in self.datasets:
            reason = f"dataset {name} is not configured"
            return [Settlement(c, Outcome.AGAIN, reason, delay=UNCONFIGURED_S, failed=False) for c in claims]
        with self.datasets[name].reopened_after_config_errors():
            return await flow(self.datasets[name], claims)

    async def _snapshot(self, dataset: Dataset, claims: Sequence[Claim]) -> list[Settlement]:
        """Triggers that are new start before the commit, so that they hear of it; then they look."""
        announcer = self.announcers.get(dataset.name)
        if announcer:
            await announcer.begin()
        settlements = await snapshot(dataset, self.snapshots[dataset.name], claims)
        if announcer:
            announcer.wake.set()
        return settlements

    async def ping(self, annotator: str) -> AnnotatorInfo:
        """As `Annotator.ping`; a ConfigError names its fields as the configuration does."""
        try:
            return await self.annotators[annotator].ping()
        except ConfigError as error:
            raise self._placed(error, annotator) from None

    async def remote(self, dataset: str) -> AnnotatorDataset:
        """As `Dataset.remote`; a ConfigError names its fields as the configuration does."""
        try:
            return await self.datasets[dataset].remote()
        except ConfigError as error:
            raise self._placed(error, self.config.datasets[dataset].annotator, dataset) from None

    def _placed(self, error: ConfigError, annotator: str, dataset: str = "") -> ConfigError:
        options = type(self.config.annotators[annotator].options).model_fields
        problems: list[Problem] = []
        for problem in error.problems:
            owner = f"annotators.{annotator}" if problem.field.split(".")[0] in options else f"datasets.{dataset}"
            problems += ConfigError([problem]).below(owner).problems
        return ConfigError(problems)

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
async def assemble(config: Config, *, exclusive: bool, observing: bool = False) -> AsyncIterator[Assembly]:
    """Everything, until the context ends. `exclusive`: as the one daemon on this state; `observing`: only to look.

    Raises ConfigError for what can never work; nothing is reached over the network here.
    """
    clock = SystemClock()
    _make_folder(config.data_dir)
    async with AsyncExitStack() as stack:
        state = await open_state(config.state.url, clock, exclusive=exclusive)
        stack.push_async_callback(state.close)
        annotators = {name: p.factory(p.options, clock=clock) for name, p in config.annotators.items()}
        for annotator in annotators.values():
            stack.push_async_callback(annotator.close)
        stores = open_stores(config, clock)
        stack.push_async_callback(stores.close)
        sources = {name: _source(name, p, stores, clock) for name, p in config.sources.items()}
        _refuse_shared_buckets(sources)
        parts = _connected(config, clock, state, annotators, sources)
        parts.announcers = make_announcers(config, parts.datasets, parts.snapshots)
        for trigger in by_lane(parts.announcers).values():
            stack.push_async_callback(trigger.target.close)
        for dataset in parts.datasets.values():
            dataset.observing = observing
        yield parts


def buckets_of(config: Config, dataset: str) -> list[str]:
    """The buckets of a dataset's sources, without reaching any."""
    sources = config.datasets[dataset].sources
    clock = SystemClock()
    stores = open_stores(config, clock)
    return [bucket for name in sources for bucket in _source(name, config.sources[name], stores, clock).stores]


def open_stores(config: Config, clock: Clock) -> Stores:
    """The stores of the configured buckets, without reaching any."""
    return Stores({}, clock)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = "must be a folder syncd may make and write to"
        raise ConfigError([Problem("data_dir", f"{folder}: {error.strerror}", allowed)]) from None


def _source(name: str, plugin: Plugin, stores: Stores, clock: Clock) -> EventSource:
    made: EventSource = plugin.factory(name, plugin.options, stores=stores, clock=clock)
    return made


def _refuse_shared_buckets(sources: Mapping[str, EventSource]) -> None:
    """Two sources of one bucket would tell each event twice and might disagree on what is in it."""
    owners: dict[str, str] = {}
    for name, source in sources.items():
        for bucket in source.stores:
            if bucket in owners:
                allowed = f"one source for each bucket; {bucket} is that of sources.{owners[bucket]} already"
                raise ConfigError([Problem(f"sources.{name}", "", allowed)])
            owners[bucket] = name


def _connected(
    config: Config,
    clock: Clock,
    state: StateStore,
    annotators: Mapping[str, Annotator],
    sources: Mapping[str, EventSource],
) -> Assembly:
    routes = _routes(config, sources)
    settle_imports = config.reconcile.settle_imports
    datasets = {}
    for name, configured in config.datasets.items():
        stores = {bucket: store for source in configured.sources for bucket, store in sources[source].stores.items()}
        datasets[name] = Dataset(
            spec=_spec(name, configured, stores),
            config=parse_label_config(configured.label_config_xml),
            policy=Policy(configured.on_change, configured.on_delete),
            snapshots=_snapshot_policy(configured),
            annotator=annotators[configured.annotator],
            stores=stores,
            routes=routes,
            state=state,
            clock=clock,
            settle_imports=settle_imports,
            splits=configured.splits.rules,
            text_limit=configured.text_limit,
        )
    return Assembly(config, clock, state, sources, annotators, datasets, _snapshots(config, clock), routes)


def _spec(name: str, configured: DatasetConfig, stores: Mapping[str, ObjectStore]) -> DatasetSpec:
    return DatasetSpec(
        name, configured.title, configured.label_config_xml, buckets=tuple(stores), on_drift=configured.on_drift
    )


def _snapshot_policy(configured: DatasetConfig) -> SnapshotPolicy:
    chosen = configured.snapshots
    return SnapshotPolicy(chosen.after_changes, chosen.after_quiet, chosen.at_least_every)


def _routes(config: Config, sources: Mapping[str, EventSource]) -> Routes:
    """Every bucket of a dataset's sources leads to it, through the source's selection and the dataset's own."""
    return Routes(
        Route(name, bucket, (sources[source].selection, _own_selection(name, configured)))
        for name, configured in config.datasets.items()
        for source in configured.sources
        for bucket in sources[source].stores
    )


def _own_selection(name: str, configured: DatasetConfig) -> Selection:
    """Hidden names are the source's business; the dataset takes what it gives."""
    include, exclude = tuple(configured.include), tuple(configured.exclude)
    return Selection(include, exclude, hidden=True, origin=f"datasets.{name}")


def _snapshots(config: Config, clock: Clock) -> dict[str, SnapshotStore]:
    """One snapshot store per root, shared by the datasets that name it."""
    made: dict[str, SnapshotStore] = {}
    found: dict[str, SnapshotStore] = {}
    for name, configured in config.datasets.items():
        options = configured.snapshots.resolved_options(f"datasets.{name}.snapshots")
        root = repr((configured.snapshots.url, sorted(options.items())))
        if root not in made:
            made[root] = LanceSnapshots(configured.snapshots.url, clock=clock, storage_options=options)
        found[name] = made[root]
    return found
