"""What keys may do to the daemon: datasets that cannot be made now, floods of names, and links of other times."""

from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from syncd.config import load_config
from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.routing import Route
from syncd.domain.templates import KeyPattern
from syncd.service import discovery
from syncd.service.assembly import assemble
from syncd.service.discovery import Finder
from syncd.service.media import _WithTask
from syncd.state import MemoryState
from tests.clock import FakeClock
from tests.flows.world import BUCKET, NAME, World
from tests.service.memory_site import Site
from tests.service.test_discovery import TEAMS


async def test_the_events_of_a_dataset_that_cannot_be_made_now_wait_until_it_can(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.configure(TEAMS)
    async with assemble(load_config(site.config, {"HOME": str(site.home)}), exclusive=True) as parts:
        making = parts.builder.snapshots

        def broken(*_: object) -> None:
            raise ConfigError([Problem("snapshots.storage_options", "not set", "a secret")])

        monkeypatch.setattr(parts.builder, "snapshots", broken)
        event = [(ObjectRef(site.bucket, "teams/red/1.jpg"), Observation(1.0))]
        for _ in range(2):
            with pytest.raises(Retryable, match="red of teams cannot be made"):
                await parts.deliver(event, source="files")
        assert "red" not in parts.config.datasets
        assert "red" not in parts.datasets
        monkeypatch.setattr(parts.builder, "snapshots", making)
        await parts.deliver(event, source="files")
        assert [(lane.dataset, lane.pending) for lane in await parts.state.backlog()] == [("red", 1)]


async def test_a_flood_of_names_is_told_of_and_remembered_only_so_far(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MOST_REFUSED", 5)
    site.configure(TEAMS)
    config = load_config(site.config, {"HOME": str(site.home)})
    pattern = KeyPattern("^teams/(?P<dataset>[^/]+)/")
    state = MemoryState(FakeClock())
    finder = Finder("teams", [Route("teams", BUCKET)], pattern, state, [], lambda: config, lambda *_: None)
    refs = [ObjectRef(BUCKET, f"teams/BAD {n}/1.jpg") for n in range(50)]
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await finder.look(refs)
    assert [log["event"] for log in logs] == ["dataset.refused"] * 5
    assert len(finder._refused) == 5


async def test_links_end_with_the_way_they_belong_to(tmp_path: Path) -> None:
    world = await World().open()
    await world.put("a.jpg")
    await world.work()
    ref, find = ObjectRef(BUCKET, "a.jpg"), _WithTask({NAME: world.dataset}, world.state).find
    assert await find(NAME, ref) is None, "its tasks hold no links of ours"
    world.dataset.spec = replace(world.dataset.spec, link=lambda one: one.id)
    assert await find(NAME, ref) is world.store
    assert await find(NAME, ObjectRef(BUCKET, "b.jpg")) is None
