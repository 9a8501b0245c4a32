"""Forty hostile names, told by every sender in its own writing: from event to task, and back to the object's bytes."""

from dataclasses import replace
from functools import partial

import pytest

from syncd.domain.media_links import MediaLinks
from syncd.domain.model import Kind, Mark, ObjectRef, Subject
from syncd.domain.routing import Route, Routes, Selection
from syncd.stores.memory import MemoryStore
from tests.domain.notifications.hostile import HOSTILE_KEYS
from tests.domain.notifications.sending import PARSERS, SENDERS, as_sent, bucket_url
from tests.flows.world import NAME, World

EVERYTHING = Selection(hidden=True)
LINKS = MediaLinks("https://syncd.example", b"k" * 32)


def world_of(bucket: str) -> World:
    """A world whose bucket has that URL, and shows every object by a signed link."""
    world = World()
    world.store = MemoryStore(bucket, world.clock)
    world.dataset.stores = {bucket: world.store}
    world.dataset.spec = replace(world.dataset.spec, link=partial(LINKS.link, NAME))
    world.dataset.routes = Routes([Route(NAME, bucket, (EVERYTHING,))])
    return world


@pytest.mark.parametrize("sender", SENDERS)
async def test_a_name_goes_from_the_event_to_the_task_and_back_to_the_bytes(sender: str) -> None:
    bucket = bucket_url(sender, "photos")
    world = world_of(bucket)
    for key in HOSTILE_KEYS:
        world.store.put(key, f"bytes of {key}".encode())
        told = PARSERS[sender](as_sent(sender, "photos", key), world.clock.now())
        assert [ref for ref, _ in told.seen] == [ObjectRef(bucket, key)]
        await world.state.mark([Mark(Subject(Kind.OBJECT, NAME, ref.id), seen) for ref, seen in told.seen])
    await world.work(seconds=5)
    shown = [str(task.new.data["image"]) for task in world.person.work.values()]
    refs = [LINKS.read(NAME, link.split("/")[-2]) for link in shown]
    assert sorted(ref.key for ref in refs if ref) == sorted(HOSTILE_KEYS)
    for ref in refs:
        assert ref
        assert await world.store.get(ref.key, limit=10_000) == f"bytes of {ref.key}".encode()


def test_the_names_are_forty_and_a_selection_takes_them_all() -> None:
    assert len(set(HOSTILE_KEYS)) == 40
    assert all(map(EVERYTHING.accepts, HOSTILE_KEYS))
