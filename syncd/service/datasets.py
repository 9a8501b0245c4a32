"""Builds datasets of the configuration: their routes, their view of the buckets, their place for snapshots.

Used by `assembly`, at the start and when a key brings a new dataset. Nothing is reached over the network here.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

from syncd.config import Config
from syncd.config import Dataset as DatasetConfig
from syncd.domain.labels.configs import LabelConfig, parse_label_config
from syncd.domain.layout import Layout
from syncd.domain.model import ObjectRef
from syncd.domain.planning import Policy
from syncd.domain.routing import Route, Routes
from syncd.flows.contents import linked_variables
from syncd.flows.context import Dataset, SnapshotPolicy
from syncd.ports import Annotator, Clock, DatasetSpec, EventSource, ObjectStore, SnapshotStore, StateStore
from syncd.runtime.observed import observed_snapshots
from syncd.snapshots.store import LanceSnapshots
from syncd.stores.views import views


@dataclass
class Builder:
    """Makes datasets one by one; those it made share routes and snapshot stores."""

    config: Config
    clock: Clock
    state: StateStore
    sources: Mapping[str, EventSource]
    annotators: Mapping[str, Annotator]
    by_itself: Callable[[str], AbstractAsyncContextManager[None]] = lambda _: nullcontext()
    """Keeps other daemons on the same state off what is named."""
    routes: Routes = field(default_factory=lambda: Routes(()))
    _roots: dict[str, SnapshotStore] = field(default_factory=dict)

    def dataset(self, name: str, configured: DatasetConfig) -> Dataset:
        """A dataset, and its routes: every bucket of its sources leads to it."""
        bases = {bucket: store for one in configured.sources for bucket, store in self.sources[one].stores.items()}
        layout, labels = configured.layout(f"datasets.{name}", name), parse_label_config(configured.label_config_xml)
        self._lead(name, configured, layout)
        stores = views(bases, layout, lambda ref: self._leads(name, ref), linked_variables(labels), self.clock)
        return Dataset(
            spec=_spec(name, configured, bases, layout, labels),
            config=labels,
            policy=Policy(configured.on_change, configured.on_delete),
            snapshots=_snapshot_policy(configured),
            annotator=self.annotators[configured.annotator],
            stores=stores,
            routes=self.routes,
            state=self.state,
            clock=self.clock,
            settle_imports=self.config.reconcile.settle_imports,
            splits=configured.splits.rules,
            text_limit=configured.text_limit,
            text_cut=configured.text_over_limit == "cut",
            layout=layout,
            bases=bases if layout.composed else {},
            by_itself=partial(self.by_itself, f"dataset:{name}"),
        )

    def snapshots(self, name: str, configured: DatasetConfig) -> SnapshotStore:
        """Where a dataset's table is: one store for each root, shared by the datasets that name it."""
        where = configured.snapshots
        options = partial(where.resolved_options, f"datasets.{name}.snapshots")
        root = repr((where.url, sorted(options().items())))
        if root not in self._roots:
            self._roots[root] = observed_snapshots(LanceSnapshots(where.url, clock=self.clock, storage_options=options))
        return self._roots[root]

    def _lead(self, name: str, configured: DatasetConfig, layout: Layout) -> None:
        for source in configured.sources:
            for bucket in self.sources[source].stores:
                self.routes.add(Route(name, bucket, (self.sources[source].selection,), layout))

    def _leads(self, name: str, ref: ObjectRef) -> bool:
        return name in self.routes.datasets(ref)


def _spec(
    name: str, configured: DatasetConfig, bases: Mapping[str, ObjectStore], layout: Layout, labels: LabelConfig
) -> DatasetSpec:
    """Tasks link to objects where the label config shows any, also where it takes JSON."""
    links = layout.composed and bool(linked_variables(labels))
    drift = configured.on_drift
    return DatasetSpec(
        name, configured.title, configured.label_config_xml, buckets=tuple(bases), on_drift=drift, links=links
    )


def _snapshot_policy(configured: DatasetConfig) -> SnapshotPolicy:
    chosen = configured.snapshots
    return SnapshotPolicy(chosen.after_changes, chosen.after_quiet, chosen.at_least_every)
