"""Two batches of one dataset at once in one process: one is prepared while the other is imported."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from syncd.domain.model import NewTask, Outcome
from syncd.flows.ingest import ingest
from tests.flows.world import World


class Held:
    """A dataset in the annotator whose first import is held up; markers that were looked up are kept."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.looked_up: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def import_tasks(self, marker: str, tasks: Sequence[NewTask]) -> list[str]:
        """As the port says, the first one late."""
        if not self.begun.is_set():
            self.begun.set()
            await self.gate.wait()
        ids: list[str] = await self._inner.import_tasks(marker, tasks)
        return ids

    async def find_by_marker(self, marker: str) -> dict[str, str]:
        """As the port says."""
        self.looked_up.append(marker)
        found: dict[str, str] = await self._inner.find_by_marker(marker)
        return found


@pytest.fixture
async def held() -> tuple[World, Held]:
    world = await World().open()
    held = Held(await world.dataset.remote())
    world.dataset._remote = held
    return world, held


async def test_a_batch_is_imported_while_another_one_is_under_way_which_is_not_looked_up(
    held: tuple[World, Held],
) -> None:
    world, remote = held
    await world.put("a.jpg")
    first = asyncio.create_task(ingest(world.dataset, await world.state.claim(limit=5, lease=60)))
    await remote.begun.wait()
    await world.put("b.jpg")
    (second,) = await ingest(world.dataset, await world.state.claim(limit=5, lease=60))
    assert second.outcome is Outcome.DONE
    remote.gate.set()
    (one,) = await first
    assert one.outcome is Outcome.DONE
    assert remote.looked_up == []
    assert await world.state.intents(world.dataset.name) == []
    assert sorted(task.new.meta["syncd"]["key"] for task in world.person.work.values()) == ["a.jpg", "b.jpg"]


async def test_an_object_whose_import_is_under_way_here_waits_though_its_claim_ran_out(
    held: tuple[World, Held],
) -> None:
    world, remote = held
    await world.put("a.jpg")
    first = asyncio.create_task(ingest(world.dataset, await world.state.claim(limit=5, lease=60)))
    await remote.begun.wait()
    world.clock.advance(3600)
    (again,) = await ingest(world.dataset, await world.state.claim(limit=5, lease=60))
    assert (again.outcome, again.failed) == (Outcome.AGAIN, False)
    remote.gate.set()
    await first
    assert len(world.person.work) == 1
