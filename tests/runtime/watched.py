"""A world in memory whose adapters are watched as the daemon's are, and what the metrics say of it."""

from dataclasses import replace

from prometheus_client import REGISTRY

from syncd.runtime.observed import observed_annotator, observed_snapshots, observed_state
from tests.flows.world import World


def watched(world: World) -> World:
    """The same world, behind the watch."""
    world.state = observed_state(world.state, world.clock)  # type: ignore[assignment]
    world.snapshots = observed_snapshots(world.snapshots)  # type: ignore[assignment]
    world.dataset = replace(world.dataset, state=world.state, annotator=observed_annotator(world.annotator))
    return world


class Change:
    """How much a sample grew since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._value()

    def _value(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0

    def __call__(self) -> float:
        """So much."""
        return self._value() - self._before
