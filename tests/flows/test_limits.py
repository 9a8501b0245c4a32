"""Which objects are too small, too large or too long to become a task, and what the bucket is asked for that."""

from dataclasses import replace

import pytest

from syncd.domain.labels import label_config
from syncd.domain.layout import Layout, Limits
from tests.flows.composed import ComposedWorld


async def opened(limits: Limits, **options: str) -> ComposedWorld:
    world = ComposedWorld(Layout(limits=limits), **options)
    await world.open()
    return world


@pytest.mark.parametrize("told", [True, False])
async def test_sizes_count_whether_the_event_tells_them_or_not(told: bool) -> None:
    world = await opened(Limits(min_size=2, max_size=3))
    for key, data in {"none": b"", "small": b"1", "least": b"12", "most": b"123", "large": b"1234"}.items():
        ref, seen = world.store.put(key, data)
        await world.saw(ref, seen if told else replace(seen, size=None))
    await world.work()
    assert set(world.data()) == {"least", "most"}
    assert await world.dead() == {}
    assert (await world.look()).new == 0, "a listing wants no others either"


async def test_an_upload_that_went_wrong_takes_nothing_away() -> None:
    world = await opened(Limits(), on_change="replace", on_delete="retire")
    await world.put("a.jpg", b"whole")
    await world.work()
    before = world.tasks()
    await world.put("a.jpg", b"")
    await world.work()
    await world.reconcile()
    assert world.tasks() == before
    await world.put("a.jpg", b"whole again")
    await world.work()
    assert world.tasks() != before
    assert len(world.tasks()["a.jpg"]) == 1


@pytest.mark.parametrize(("limit", "text"), [(7, "aü€b"), (6, "aü€"), (5, "aü"), (4, "aü"), (3, "aü"), (2, "a")])
async def test_a_long_text_is_cut_between_characters_where_that_is_asked_for(limit: int, text: str) -> None:
    world = await opened(Limits(), xml=label_config("text-classification", ["good"]))
    world.dataset = replace(world.dataset, text_limit=limit, text_cut=True)
    await world.put("a.txt", "aü€b".encode())
    await world.work()
    assert world.data() == {"a.txt": [{"text": text}]}


async def test_a_long_text_is_a_dead_letter_otherwise() -> None:
    world = await opened(Limits(), xml=label_config("text-classification", ["good"]))
    world.dataset = replace(world.dataset, text_limit=3)
    await world.put("a.txt", b"long")
    await world.work()
    assert world.data() == {}
    reason = (await world.dead())["a.txt"]
    assert "3" in reason
    assert "text_over_limit" in reason
