"""When an object is looked at before anything is done about it, and what a look teaches."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from syncd.domain.labels import label_config
from syncd.domain.model import Kind, Mark, ObjectRef, Observation, Subject
from syncd.flows.reconcile import Caution, reconcile_objects
from syncd.stores.memory import MemoryStore
from tests.flows.world import BUCKET, NAME, XML, World

TEXT = label_config("text-classification", ["cat", "dog"])


class Counting(MemoryStore):
    """Counts looks, and how many of them are under way at once. With versions, which its listing does not tell."""

    looks = 0
    at_once = 0
    most_at_once = 0
    versions: dict[str, str]

    async def head(self, key: str) -> Observation:
        self.looks += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        seen = await super().head(key)
        return seen if seen.gone else replace(seen, version_id=self.versions.get(key))


async def counting(xml: str | None = None) -> tuple[World, Counting]:
    world = World(on_delete="retire", xml=xml or XML)
    store = Counting(BUCKET, world.clock)
    store.versions = {}
    world.store = world.dataset.stores[BUCKET] = store  # type: ignore[index]
    return await world.open(), store


async def test_new_objects_of_which_an_event_says_enough_are_not_looked_at() -> None:
    world, store = await counting()
    for n in range(50):
        await world.put(f"{n}.jpg")
    await world.work()
    assert (len(world.tasks()), store.looks) == (50, 0)


async def test_looks_that_are_needed_are_taken_side_by_side_but_not_all_at_once() -> None:
    world, store = await counting()
    for n in range(100):
        ref, _ = store.put(f"{n}.jpg", b"x")
        await world.saw(ref, Observation(world.clock.now()))
    await world.work()
    assert (len(world.tasks()), store.looks) == (100, 100)
    assert store.most_at_once == 32


async def test_a_deletion_without_an_order_is_looked_at_though_nothing_is_known_of_the_object() -> None:
    world, store = await counting()
    ref, _ = store.put("a.jpg", b"x")
    await world.saw(ref, Observation(world.clock.now(), gone=True))
    await world.work()
    assert (set(world.tasks()), store.looks) == ({"a.jpg"}, 1)


async def test_a_deletion_with_an_order_of_what_was_never_known_costs_no_look() -> None:
    world, store = await counting()
    await world.saw(ObjectRef(BUCKET, "a.jpg"), Observation(world.clock.now(), gone=True, sequencer="s3:5"))
    await world.work()
    assert (world.tasks(), store.looks) == ({}, 0)


async def test_a_bucket_with_versions_is_listed_without_a_look_once_its_etags_are_known() -> None:
    world, store = await counting()
    for key, etag in (("told", "e"), ("not told", None)):
        ref, seen = store.put(key, b"x")
        store.versions[key] = f"v-{key}"
        event = replace(seen, etag=etag and seen.etag, version_id=store.versions[key])
        await world.state.mark([Mark(Subject(Kind.OBJECT, NAME, ref.id), event)])
    await world.work()
    assert store.looks == 0
    first = await reconcile_objects(world.dataset, store, Caution())
    await world.work()
    assert (first.changed, store.looks) == (1, 1)
    again = await reconcile_objects(world.dataset, store, Caution())
    assert (again.new, again.changed, again.known) == (0, 0, 2)
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == {"told": 1, "not told": 1}


class OverwrittenWhileRead(Counting):
    """Each of the first reads meets the object just when it was overwritten."""

    overwritings = 0

    async def get(self, key: str, **how: Any) -> bytes:
        if self.overwritings:
            self.overwritings -= 1
            self.put(key, b"version %d" % self.overwritings)
        return await super().get(key, **how)


@pytest.mark.parametrize("overwritings", [1, 3])
async def test_a_task_never_holds_the_text_of_one_version_under_the_etag_of_another(overwritings: int) -> None:
    world, _ = await counting(TEXT)
    store = OverwrittenWhileRead(BUCKET, world.clock)
    store.versions, store.overwritings = {}, overwritings
    world.store = world.dataset.stores[BUCKET] = store  # type: ignore[index]
    await world.put("a.txt", b"first")
    await world.work(seconds=30)
    (record,) = (await world.state.records(NAME, [ObjectRef(BUCKET, "a.txt")]))[ObjectRef(BUCKET, "a.txt")]
    assert record.etag == (await store.head("a.txt")).etag
    assert world.person.work[world.task("a.txt")].new.data == {"text": "version 0"}
