"""Several objects that are one task: once all are there, whatever their order, and no longer when one has left."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.layout import Layout, Members, member_templates
from syncd.domain.model import ObjectRef
from tests.flows.composed import ComposedWorld
from tests.flows.world import BUCKET

PAIR = """<View><Image name="l" value="$left"/><Image name="r" value="$right"/>
<Choices name="choice" toName="l"><Choice value="same"/><Choice value="different"/></Choices></View>"""
SAME = [{"id": "r", "type": "choices", "from_name": "choice", "to_name": "l", "value": {"choices": ["same"]}}]
DESCRIBED = """<View><Image name="i" value="$image"/><Text name="t" value="$text"/>
<Choices name="choice" toName="i"><Choice value="fits"/></Choices></View>"""
KEYS = {"left": ["{group}_left.jpg"], "right": ["{group}_right.jpg"]}


def layout(members: dict[str, list[str]] | None = None, *, optional: tuple[str, ...] = ()) -> Layout:
    return Layout(members=Members(member_templates(members or KEYS), frozenset(optional), wait=60.0))


async def opened(made_of: Layout | None = None, *, xml: str = PAIR, **options: str) -> ComposedWorld:
    world = ComposedWorld(made_of or layout(), xml=xml, **({"on_change": "replace", "on_delete": "retire"} | options))
    await world.open()
    return world


def pair(group: str) -> dict[str, str]:
    return {"left": f"{BUCKET}/{group}_left.jpg", "right": f"{BUCKET}/{group}_right.jpg"}


async def test_two_objects_become_one_task_that_shows_both() -> None:
    world = await opened()
    await world.put("a/1_left.jpg")
    await world.work()
    assert world.data() == {}
    seen = await world.put("a/1_right.jpg")
    await world.work()
    assert world.data() == {"a/1": [pair("a/1")]}
    meta = world.person.work[world.task("a/1")].new.meta["syncd"]
    assert meta["parts"]["right"] == {"bucket": BUCKET, "key": "a/1_right.jpg", "etag": seen.etag, "version_id": None}


async def test_the_row_of_a_group_names_its_first_member() -> None:
    world = await opened()
    first = await world.put("1_left.jpg")
    await world.put("1_right.jpg")
    await world.work()
    world.person.submit(world.task("1"), SAME)
    await world.webhook(world.task("1"))
    await world.work(seconds=61)
    (row,) = (await world.rows()).values()
    assert (row.bucket, row.key, row.etag) == (BUCKET, "1_left.jpg", first.etag)
    assert row.object_uri == f"{BUCKET}/1_left.jpg"
    assert json.loads(row.data) == pair("1")


async def test_an_incomplete_group_is_told_after_a_while_and_made_when_its_member_comes() -> None:
    world = await opened()
    await world.put("1_left.jpg")
    await world.work(seconds=30)
    assert await world.dead() == {}
    await world.work(seconds=40)
    assert "right" in (await world.dead())["1"]
    await world.put("1_right.jpg")
    await world.work()
    assert world.data() == {"1": [pair("1")]}
    assert await world.dead() == {}


@pytest.mark.parametrize("lost", [False, True])
async def test_a_member_that_changes_or_leaves_changes_the_task(lost: bool) -> None:
    world = await opened()
    for key in ("1_left.jpg", "1_right.jpg"):
        await world.put(key)
    await world.work()
    before = world.task("1")
    await world.put("1_right.jpg", b"other", lost=lost)
    await (world.reconcile(force=True) if lost else world.work())
    assert world.data() == {"1": [pair("1")]}
    after = world.task("1")
    assert before != after or len(world.tasks()) == 1
    assert [r.state for r in (await world.state.records("photos", [ref("1")]))[ref("1")]] == ["removed", "active"]
    await world.delete("1_left.jpg", lost=lost)
    await (world.reconcile(force=True) if lost else world.work())
    assert world.data() == {}


def ref(group: str) -> ObjectRef:
    return ObjectRef(f"groups+{BUCKET}", group)


async def test_every_order_of_events_ends_alike() -> None:
    steps = [("1_left.jpg", b"1"), ("1_right.jpg", b"2"), ("1_left.jpg", b"3"), ("1_right.jpg", None)]
    for order in itertools.permutations(range(4)):
        for back in (False, True):
            world = await opened()
            events = [world.store.put(k, data) if data else world.store.delete(k) for k, data in steps]
            for at in order:
                await world.saw(*events[at])
                await world.work()
            if back:
                await world.put("1_right.jpg", b"2")
            await world.work(seconds=100)
            assert world.data() == ({"1": [pair("1")]} if back else {}), (order, back)


async def test_an_image_and_its_text_are_one_task_and_the_text_is_in_it() -> None:
    made_of = layout({"image": ["images/{group}.jpg", "images/{group}.png"], "text": ["texts/{group}.txt"]})
    world = await opened(made_of, xml=DESCRIBED)
    await world.put("texts/a/1.txt", "a grüner Baum".encode())
    await world.put("images/a/1.png")
    await world.put("images/a/1.gif")
    await world.work()
    wanted = {"image": f"{BUCKET}/images/a/1.png", "text": "a grüner Baum"}
    assert world.data() == {"a/1": [wanted]}
    await world.put("images/a/1.jpg")
    await world.work()
    assert world.data() == {"a/1": [{**wanted, "image": f"{BUCKET}/images/a/1.jpg"}]}, "the first that is there counts"


async def test_a_group_can_do_without_an_optional_member_until_it_comes() -> None:
    made_of = layout({**KEYS, "depth": ["{group}_depth.png"]}, optional=("depth",))
    world = await opened(made_of)
    for key in ("1_left.jpg", "1_right.jpg"):
        await world.put(key)
    await world.work()
    assert world.data() == {"1": [pair("1")]}
    await world.put("1_depth.png")
    await world.work()
    assert world.data() == {"1": [{**pair("1"), "depth": f"{BUCKET}/1_depth.png"}]}


async def test_an_empty_member_is_none() -> None:
    world = await opened()
    await world.put("1_left.jpg", b"")
    await world.put("1_right.jpg")
    await world.work(seconds=70)
    assert "left" in (await world.dead())["1"]


@pytest.mark.parametrize("fault", ["before", "after", "crash-before", "crash-after", "late"])
async def test_faults_neither_lose_nor_double(fault: str) -> None:
    world = await opened()
    world.faulty.faults = [fault, fault]
    for n in range(5):
        await world.put(f"{n}_left.jpg")
        await world.put(f"{n}_right.jpg")
    await world.work(seconds=20)
    world.restart()
    await world.faulty.finish_late()
    await world.work(seconds=200)
    assert world.data() == {f"{n}": [pair(f"{n}")] for n in range(5)}


async def test_groups_are_listed_in_their_own_order_however_the_keys_lie() -> None:
    world = await opened()
    groups = ["a", "a_b", "a_l", "a_", "z/a", "ä", *(f"n{n}" for n in range(1100))]
    for group in groups:
        await world.put(f"{group}_left.jpg", lost=True)
        await world.put(f"{group}_right.jpg", lost=True)
    await world.put("alone_left.jpg", lost=True)
    (store,) = world.dataset.stores.values()
    listed = [found.key async for page in store.list() for found, _ in page]
    assert listed == sorted(groups, key=str.encode)
    assert [found.key async for page in store.list(after="n999") for found, _ in page] == listed[
        listed.index("n999") + 1 :
    ]
    assert (await world.look()).new == len(groups)
    await world.work()
    assert set(world.data()) == set(groups)
    assert (await world.look()).new == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["left", "right"]), st.booleans(), st.booleans()), max_size=12))
async def test_after_any_history_with_lost_events_reconcile_finds_the_truth(
    history: list[tuple[str, bool, bool]],
) -> None:
    world = await opened()
    for number, (member, there, lost) in enumerate(history):
        key = f"1_{member}.jpg"
        await (world.put(key, str(number).encode(), lost=lost) if there else world.delete(key, lost=lost))
        await world.work()
    await world.reconcile(force=True)
    await world.work(seconds=100)
    both = not any([(await world.store.head(f"1_{member}.jpg")).gone for member in ("left", "right")])
    assert world.data() == ({"1": [pair("1")]} if both else {})
