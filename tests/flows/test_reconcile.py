"""What events missed is found, and what looks like an outage is not believed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncd.domain.errors import Retryable
from syncd.domain.labels import label_config
from syncd.flows.reconcile import Caution, reconcile_objects, reconcile_tasks
from syncd.ports import Seen
from syncd.stores.memory import MemoryStore
from tests.flows.world import BUCKET, CAT, NAME, World


async def test_lost_events_of_every_kind_are_made_good() -> None:
    world = await World(on_change="replace", on_delete="retire").open()
    for key in ("same", "changed", "deleted"):
        await world.put(key)
    await world.work()
    await world.put("new", lost=True)
    await world.put("changed", b"other", lost=True)
    await world.delete("deleted", lost=True)
    before = world.tasks()
    await world.reconcile()
    after = world.tasks()
    assert set(after) == {"same", "changed", "new"}
    assert after["same"] == before["same"]
    assert after["changed"] != before["changed"]


async def test_a_second_reconcile_finds_nothing() -> None:
    world = await World(on_delete="retire").open()
    for n in range(2500):
        await world.put(f"{n}", lost=True)
    first = await reconcile_objects(world.dataset, world.store, Caution())
    await world.work()
    second = await reconcile_objects(world.dataset, world.store, Caution())
    assert (first.new, second.new, second.changed, second.gone, second.known) == (2500, 0, 0, 0, 2500)


async def test_a_dry_run_marks_nothing() -> None:
    world = await World().open()
    await world.put("a", lost=True)
    await world.reconcile(dry_run=True)
    assert world.tasks() == {}


async def test_a_bucket_that_is_suddenly_empty_is_an_outage_unless_forced() -> None:
    world = await World(on_delete="retire").open()
    for n in range(10):
        await world.put(f"{n}")
    await world.work()
    for n in range(10):
        await world.delete(f"{n}", lost=True)
    findings = await reconcile_objects(world.dataset, world.store, Caution())
    await world.work()
    assert "retire_limit" in findings.refused
    assert len(world.tasks()) == 10
    await world.reconcile(force=True)
    assert world.tasks() == {}


async def test_an_annotator_that_is_suddenly_empty_is_an_outage_too() -> None:
    world = await World().open()
    for n in range(10):
        await world.put(f"{n}")
    await world.work()
    world.person.submit(world.task("1"), CAT)
    await world.webhook(world.task("1"))
    await world.work(seconds=61)
    world.person.work.clear()
    findings = await reconcile_tasks(world.dataset, Caution())
    await world.work(seconds=61)
    assert findings.refused
    assert len(await world.rows()) == 1, "no annotation is taken out of the snapshot"


async def test_tasks_made_by_hand_are_left_alone() -> None:
    world = await World().open()
    from syncd.domain.model import NewTask  # noqa: PLC0415

    await world.person.import_tasks("by hand", [NewTask("unknown key", {"image": "x"}, {"syncd": {"key": "x"}})])
    findings = await reconcile_tasks(world.dataset, Caution())
    assert (findings.orphaned, findings.doubled) == (1, 0)
    assert len(world.person.work) == 1


async def test_keys_are_joined_in_byte_order_whatever_they_hold() -> None:
    world = await World().open()
    keys = ["a", "a/b", "a-b", "a.b", "ä", "Z", "z", "\U0001f600", "\uffee", "a b", "a%20b", "a+b", "x\ny"]
    for key in keys:
        await world.put(key)
    await world.work()
    findings = await reconcile_objects(world.dataset, world.store, Caution())
    assert (findings.known, findings.new, findings.gone) == (len(keys), 0, 0)
    assert {r.ref.key for page in [p async for p in world.state.walk(NAME, BUCKET)] for r in page} == set(keys)


class HalfReadable(MemoryStore):
    """A listing that breaks off behind `break_behind`."""

    break_behind = ""

    async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
        async for page in super().list(after=after):
            readable = [seen for seen in page if not self.break_behind or seen[0].key <= self.break_behind]
            yield readable
            if len(readable) < len(page):
                raise Retryable("a folder cannot be read")


async def test_what_was_listed_before_the_listing_broke_gets_its_tasks_and_nothing_is_retired() -> None:
    world = await World(on_delete="retire").open()
    store = HalfReadable(BUCKET, world.clock)
    world.store = world.dataset.stores[BUCKET] = store  # type: ignore[index]
    for key in "abcdef":
        await world.put(key)
    await world.work()
    for key in "ABC":
        await world.put(key, lost=True)
    store.break_behind = "b"
    with pytest.raises(Retryable):
        await reconcile_objects(world.dataset, store, Caution())
    await world.work()
    assert set(world.tasks()) == set("ABCabcdef")


async def test_a_file_too_young_for_the_listing_is_looked_at_soon() -> None:
    world = await World().open()

    class Young(MemoryStore):
        async def list(self, *, after: str = "") -> AsyncIterator[Sequence[Seen]]:
            async for page in super().list(after=after):
                yield [(ref, replace(seen, settled=False)) for ref, seen in page]

    world.store = world.dataset.stores[BUCKET] = Young(BUCKET, world.clock)  # type: ignore[index]
    await world.put("a", lost=True)
    await reconcile_objects(world.dataset, world.store, Caution())
    await world.work(seconds=2)
    assert "a" in world.tasks()


async def test_an_object_that_was_refused_is_not_tried_again_at_every_listing() -> None:
    world = await World(xml=label_config("text-classification", ["cat", "dog"])).open()
    await world.put("a.txt", b"\xff")
    await world.work()
    (dead,) = await world.state.dead_letters()
    for _ in range(3):
        world.clock.advance(300)
        await world.reconcile()
    assert await world.state.dead_letters() == [dead]
    await world.put("a.txt", b"text now", lost=True)
    await world.reconcile()
    assert "a.txt" in world.tasks()


async def test_a_task_recorded_while_the_scan_runs_is_not_taken_for_a_double(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().open()
    await world.put("a")
    known = world.state.by_task
    keys = world.state.task_keys

    async def scan_meets_import() -> None:
        """The task is in the annotator, its record comes between the scan's two questions."""
        world.faulty.faults = ["after"]
        await world.work()

    await scan_meets_import()

    async def recorded_first(dataset: str, asked: Sequence[str]) -> Any:
        found = await keys(dataset, asked)
        await world.work(seconds=5)
        return found

    monkeypatch.setattr(world.state, "task_keys", recorded_first)
    monkeypatch.setattr(world.state, "by_task", known)
    findings = await reconcile_tasks(world.dataset, Caution())
    assert findings.doubled == 0
    assert len(world.tasks()["a"]) == 1
