"""The world that a seed plays in: that of `tests.flows.composed`, with a trigger, on the state that is asked for.

The product under test is everything in it but the adapters, which are those in memory; the state may be the SQL one.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from syncd.domain.deliveries import Answer, Verdict
from syncd.domain.layout import Layout, Limits, Sidecar, sidecar_template
from syncd.domain.model import Claim, JsonObject, Kind, Settlement
from syncd.domain.planning import OnChange, OnDelete
from syncd.domain.triggers import Conditions, Interest
from syncd.flows.announce import Announcer
from syncd.flows.deliver import Deliverer
from syncd.flows.reconcile import Caution, reconcile_changes, reconcile_objects, reconcile_tasks
from syncd.flows.snapshot import snapshot
from syncd.ports import StateStore, Trigger
from syncd.runtime.retry import Backoff
from syncd.runtime.worker import Pace, Workers
from syncd.state import MemoryState, sql_lanes
from tests.clock import FakeClock
from tests.flows.composed import ComposedWorld
from tests.flows.test_histories import TEXT
from tests.flows.world import NAME, XML

SIDECAR = ".json"
"""How the key of a sidecar ends, behind that of its object."""
LAYOUTS = {
    "images": Layout(),
    "texts": Layout(),
    "sidecars": Layout(limits=Limits((".jpg",)), sidecar=Sidecar(*sidecar_template("{name}" + SIDECAR))),
}
TRIGGER = "retrain"


class Endpoint:
    """Where the trigger's events go; it takes all of them."""

    attempts: int | None = None

    def __init__(self) -> None:
        self.got: list[str] = []

    async def check(self) -> None:
        """Nothing to check."""

    async def deliver(self, event: JsonObject) -> Answer:
        """One event, or one once more."""
        self.got.append(event["id"])
        return Answer(Verdict.DELIVERED, "200 OK")

    async def close(self) -> None:
        """Nothing to close."""


class SimulatedWorld(ComposedWorld):
    """One dataset, chosen by the seed."""

    def __init__(self, chance: random.Random, clock: FakeClock, state: StateStore | None) -> None:
        self.kind = chance.choice(("images", "texts", "sidecars"))
        self.on_change, self.on_delete = chance.choice(list(OnChange)), chance.choice(list(OnDelete))
        self.target: Any = Endpoint()
        super().__init__(
            LAYOUTS[self.kind],
            xml=TEXT if self.kind == "texts" else XML,
            on_change=self.on_change,
            on_delete=self.on_delete,
            after_changes=chance.choice((1, 3, 100)),
            clock=clock,
        )
        if state:
            self.state: Any = state
            self.dataset.state = state
        self.opened()

    def opened(self) -> None:
        """The dataset is another object now."""
        trigger = Trigger(TRIGGER, Interest.of(["version"]), Conditions(), self.target)
        self.announcer = Announcer(self.dataset, self.snapshots, f"mem://snapshots/{NAME}", [trigger])
        self.deliverer = Deliverer(self.state, self.clock, {f"{NAME}/{TRIGGER}": trigger}, Backoff(longest=10).delay)

    async def first_ready(self) -> float:
        """From when on there is something to claim."""
        if isinstance(self.state, MemoryState):
            ready = (entry.ready_at for entry in self.state._entries.values())
            return min((at for at in ready if at is not None), default=math.inf)
        first: float | None = await self.state._read(sql_lanes.first_ready)
        return math.inf if first is None else first

    async def look(self, **caution: Any) -> None:  # type: ignore[override]
        """At everything, as the daemon's upkeep does."""
        for store in self.dataset.stores.values():
            await reconcile_objects(self.dataset, store, Caution(**caution))
        await reconcile_changes(self.dataset, Caution(**caution))
        await reconcile_tasks(self.dataset, Caution(**caution))
        await self.announcer.look()

    def workers(self) -> Workers:
        """The workers of one process life."""
        flows: dict[Kind, Callable[..., Any]] = {
            Kind.OBJECT: self._ingest,
            Kind.TASK: self._collect,
            Kind.DATASET: self._snapshot,
            Kind.DELIVERY: self.deliverer.deliver,
        }
        return Workers(self.state, flows, self.clock, Pace(lease=60), Backoff(longest=10))

    async def _snapshot(self, _: str, claims: Sequence[Claim]) -> list[Settlement]:
        await self.announcer.begin()
        return await snapshot(self.dataset, self.snapshots, claims)
