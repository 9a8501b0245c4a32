"""Builds everything a process needs from the configuration, and closes it again.

Used by the daemon and by every command that touches the state, an annotator or the snapshots.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from syncd.config import BucketConfig, Config, Plugin, is_server, secrets_of
from syncd.config.templates import with_found
from syncd.domain.errors import ConfigError, Problem
from syncd.domain.media_links import MediaLinks
from syncd.domain.model import Claim, Kind, Mark, Outcome, Settlement, Subject
from syncd.domain.notifications import BadEvent
from syncd.domain.planning import of_another
from syncd.flows.announce import Announcer
from syncd.flows.collect import collect
from syncd.flows.context import Dataset
from syncd.flows.deliver import Deliverer
from syncd.flows.ingest import ingest
from syncd.flows.snapshot import snapshot
from syncd.ports import (
    Annotator,
    AnnotatorDataset,
    AnnotatorInfo,
    Clock,
    EventSource,
    ObjectStore,
    Seen,
    SnapshotStore,
    StateStore,
    Trigger,
)
from syncd.runtime.clock import SystemClock
from syncd.runtime.metrics import SOURCE_LAG, count_quarantined
from syncd.runtime.observed import observed_annotator, observed_state, observed_store
from syncd.runtime.retry import Backoff
from syncd.runtime.tracing import tracer
from syncd.runtime.worker import Flow, Pace, Workers
from syncd.secrets import warm
from syncd.service.datasets import Builder
from syncd.service.discovery import Finder, added, finders, found
from syncd.service.media import link_signed, media_links, signed
from syncd.service.probes import Probes
from syncd.service.replicas import Replica
from syncd.service.triggers import by_lane, delivery_backoff, in_turn, make_announcers
from syncd.state import open_state
from syncd.stores import CloudBucket, Stores, open_cloud

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
    builder: Builder
    datasets: dict[str, Dataset] = field(default_factory=dict)
    snapshots: dict[str, SnapshotStore] = field(default_factory=dict)
    media: MediaLinks = field(default_factory=lambda: MediaLinks("", b""))
    announcers: dict[str, Announcer] = field(default_factory=dict)
    """Of those datasets that have triggers."""
    triggers: dict[str, Trigger] = field(default_factory=dict)
    """By lane."""
    finders: Mapping[str, Finder] = field(default_factory=dict)
    """By template: what finds the datasets that keys bring."""
    news: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Datasets that were taken up since the start."""
    probes: Probes = field(init=False)
    replica: Replica = field(init=False)
    """This process, among those that share the state."""

    def __post_init__(self) -> None:
        self.probes = Probes(self.state, self.clock)
        alone = not is_server(self.config.state.url)
        self.replica = Replica(self.state, self.clock, self.config.worker.lease, alone)
        self.builder.by_itself = self.replica.by_itself

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = (), *, source: str = "") -> None:
        """Keep what is bad, then mark what a source saw, for every dataset it belongs to; both durable on return."""
        with tracer().span("take events", {"syncd.source": source, "syncd.events": len(seen)}):
            await self._take(seen, bad, source)
        if seen:
            oldest = min(sight.observed_at for _, sight in seen)
            SOURCE_LAG.labels(source).observe(max(0.0, self.clock.now() - oldest))

    async def _take(self, seen: Sequence[Seen], bad: Sequence[BadEvent], source: str) -> None:
        if bad:
            await self.state.quarantine(source, bad)
            count_quarantined(source, bad)
        await self.probes.note(seen)
        for finder in self.finders.values():
            await finder.look(ref for ref, _ in seen)
        linger = self.config.worker.linger
        marks = [
            Mark(Subject(Kind.OBJECT, name, about.id), sight if about == ref else of_another(sight), delay=linger)
            for ref, sight in seen
            for name, about in self.builder.routes.subjects(ref)
        ]
        await self.state.mark(marks)

    def add(self, name: str, *, observing: bool = False) -> None:
        """Build a dataset of the configuration."""
        configured = self.config.datasets[name]
        self.datasets[name] = dataset = self.builder.dataset(name, configured)
        dataset.observing = observing
        self.snapshots[name] = self.builder.snapshots(name, configured)
        only = self.config.model_copy(update={"datasets": {name: configured}})
        link_signed(self.media, signed({name: dataset}, only))
        self.announcers |= make_announcers(only, self.datasets, self.snapshots)
        self.triggers |= by_lane({n: announcer for n, announcer in self.announcers.items() if n == name})

    def take_up(self, template: str, name: str) -> None:
        """Have a dataset that a key brought at work from now on; the daemon hears of it by `news`.

        ConfigError: it cannot be made, and nothing is changed.
        """
        before, self.config = self.config, added(self.config, template, name)
        try:
            self.add(name)
        except BaseException:
            self.config = before
            self.datasets.pop(name, None)
            raise
        self.news.put_nowait(name)

    async def learn(self) -> None:
        """Take up the datasets that another daemon on this state found."""
        for finder in self.finders.values():
            await finder.learn()

    async def close_triggers(self) -> None:
        """Release what their targets hold."""
        await asyncio.gather(*(trigger.target.close() for trigger in self.triggers.values()))

    def workers(self) -> Workers:
        """The workers, with one flow for each kind of subject."""
        worker, retry, deliveries = self.config.worker, self.config.retry, delivery_backoff(self.config)
        flows: dict[Kind, Flow] = {
            Kind.OBJECT: partial(self._run, ingest),
            Kind.TASK: partial(self._run, collect),
            Kind.DATASET: partial(self._run, self._snapshot),
            Kind.DELIVERY: partial(
                in_turn, self.replica, Deliverer(self.state, self.clock, self.triggers, deliveries.delay).deliver
            ),
        }
        backoff = Backoff(first=retry.first, longest=retry.longest, give_up_after=retry.give_up_after)
        backoffs = {**dict.fromkeys(Kind, backoff), Kind.DELIVERY: deliveries}
        return Workers(self.state, flows, self.clock, Pace(batch=worker.batch, lease=worker.lease), backoffs)

    async def _run(self, flow: DatasetFlow, name: str, claims: Sequence[Claim]) -> list[Settlement]:
        """The flow on its dataset. Subjects of a dataset that is not configured wait: it may come back."""
        if name not in self.datasets:
            await self.learn()
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
            raise self.placed(error, annotator) from None

    async def remote(self, dataset: str) -> AnnotatorDataset:
        """As `Dataset.remote`; a ConfigError names its fields as the configuration does."""
        try:
            return await self.datasets[dataset].remote()
        except ConfigError as error:
            raise self.placed(error, self.config.datasets[dataset].annotator, dataset) from None

    def placed(self, error: ConfigError, annotator: str, dataset: str = "") -> ConfigError:
        """An annotator's error, its fields named as the configuration names them."""
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
        return await self.state.get(name) or await self.state.put_once(name, secrets.token_urlsafe(32))


@asynccontextmanager
async def assemble(config: Config, *, exclusive: bool, observing: bool = False) -> AsyncIterator[Assembly]:
    """Everything, until the context ends. `exclusive`: as the one daemon on this state; `observing`: only to look.

    Raises ConfigError for what can never work; nothing is reached over the network here.
    """
    clock = SystemClock()
    await warm(secrets_of(config))
    _make_folder(config.data_dir)
    async with AsyncExitStack() as stack:
        state = observed_state(await open_state(config.state.place, clock, exclusive=exclusive), clock)
        stack.push_async_callback(state.close)
        annotators = {n: observed_annotator(p.factory(p.options, clock=clock)) for n, p in config.annotators.items()}
        for annotator in annotators.values():
            stack.push_async_callback(annotator.close)
        stores = open_stores(config, clock)
        stack.push_async_callback(stores.close)
        sources = {name: _source(name, p, stores, clock) for name, p in config.sources.items()}
        _refuse_shared_buckets(sources)
        config = with_found(config, await found(state, config))
        builder = Builder(config, clock, state, sources, annotators)
        parts = Assembly(config, clock, state, sources, annotators, builder, media=await media_links(state, config))
        stack.push_async_callback(parts.close_triggers)
        for name in config.datasets:
            parts.add(name, observing=observing)
        parts.finders = await finders(config, state, sources, lambda: parts.config, parts.take_up)
        for finder in parts.finders.values():
            finder.by_itself = parts.replica.by_itself
        yield parts


def buckets_of(config: Config, dataset: str) -> list[str]:
    """The buckets of a dataset's sources, without reaching any."""
    sources = config.datasets[dataset].sources
    clock = SystemClock()
    stores = open_stores(config, clock)
    return [bucket for name in sources for bucket in _source(name, config.sources[name], stores, clock).stores]


def open_stores(config: Config, clock: Clock) -> Stores:
    """The stores of the configured buckets, without reaching any."""
    buckets = {name: _bucket(name, bucket, clock) for name, bucket in config.buckets.items()}
    return Stores(buckets, clock, watch=observed_store)


def _bucket(name: str, bucket: BucketConfig, clock: Clock) -> ObjectStore:
    given = (bucket.profile, bucket.role_arn, bucket.external_id, bucket.inventory)
    return open_cloud(CloudBucket(f"buckets.{name}", bucket.url, bucket.resolved_options, *given), clock)


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
