"""Objects with sidecars: their members become data of the task, whenever they come; and no event order matters."""

import itertools
import json

import pytest

from syncd.domain.layout import Layout, Limits, Sidecar, sidecar_template
from tests.flows.composed import ComposedWorld
from tests.flows.world import BUCKET, CAT

CAPTIONED = """<View><Image name="image" value="$image"/><Text name="text" value="$caption"/>
<Choices name="choice" toName="image"><Choice value="cat"/><Choice value="dog"/></Choices></View>"""


def layout(template: str = "{stem}.json", *, wait: float = 5.0, limit: int = 1000) -> Layout:
    sidecar = Sidecar(*sidecar_template(template), wait=wait, limit=limit)
    return Layout(limits=Limits(suffixes=(".jpg", ".PNG")), sidecar=sidecar)


async def opened(template: str = "{stem}.json", **options: str) -> ComposedWorld:
    world = ComposedWorld(layout(template), on_change="replace", on_delete="retire", **options)
    await world.open()
    return world


def said(**members: object) -> bytes:
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("template", "key", "sidecar"),
    [
        ("{stem}.json", "a/cat.jpg", "a/cat.json"),
        ("{stem}.json", "cat.v2.jpg", "cat.v2.json"),
        ("{name}.json", "a/cat.jpg", "a/cat.jpg.json"),
        ("meta/{stem}.json", "a/b/cat.JPG", "a/b/meta/cat.json"),
        ("{stem}.json", "cat.png", "cat.json"),
    ],
)
async def test_the_sidecars_members_become_data_of_the_task_and_the_sidecar_none(
    template: str, key: str, sidecar: str
) -> None:
    world = await opened(template)
    await world.put(sidecar, said(caption="a cat", image="not this one", syncd_key="nor this"))
    await world.put(key)
    await world.work()
    assert world.data() == {key: [{"image": f"{BUCKET}/{key}", "caption": "a cat"}]}
    meta = world.person.work[world.task(key)].new.meta["syncd"]
    assert meta["parts"]["sidecar"]["key"] == sidecar
    assert meta["bucket"] == BUCKET


async def test_the_row_of_a_described_object_is_that_of_the_object() -> None:
    world = await opened()
    await world.put("cat.json", said(caption="a cat"))
    seen = await world.put("cat.jpg")
    await world.work()
    world.person.submit(world.task("cat.jpg"), CAT)
    await world.webhook(world.task("cat.jpg"))
    await world.work(seconds=61)
    (row,) = (await world.rows()).values()
    assert (row.object_uri, row.etag) == (f"{BUCKET}/cat.jpg", seen.etag)
    assert json.loads(row.data)["caption"] == "a cat"


async def test_a_new_object_waits_for_its_sidecar_but_not_for_ever() -> None:
    world = await opened()
    await world.put("cat.jpg")
    await world.put("dog.jpg")
    await world.work()
    assert world.data() == {}
    await world.put("cat.json", said(caption="a cat"))
    await world.work()
    assert world.data() == {"cat.jpg": [{"image": f"{BUCKET}/cat.jpg", "caption": "a cat"}]}
    await world.work(seconds=6)
    assert world.data()["dog.jpg"] == [{"image": f"{BUCKET}/dog.jpg"}]


@pytest.mark.parametrize(
    ("on_change", "wanted"), [("replace", [{"n": 2}]), ("new-task", [{"n": 1}, {"n": 2}]), ("ignore", [{"n": 1}])]
)
async def test_a_sidecar_that_changes_is_a_change_of_its_object(on_change: str, wanted: list[dict[str, int]]) -> None:
    world = ComposedWorld(layout(), on_change=on_change)
    await world.open()
    await world.put("cat.json", said(n=1))
    await world.put("cat.jpg")
    await world.work()
    await world.put("cat.json", said(n=2))
    await world.work()
    assert world.data()["cat.jpg"] == [{"image": f"{BUCKET}/cat.jpg", **n} for n in wanted]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_sidecar_that_comes_late_or_leaves_is_a_change_too_also_when_its_event_is_lost(lost: bool) -> None:
    world = await opened()
    await world.put("cat.jpg")
    await world.work(seconds=6)
    await world.put("cat.json", said(n=1), lost=lost)
    await (world.reconcile() if lost else world.work())
    assert world.data()["cat.jpg"] == [{"image": f"{BUCKET}/cat.jpg", "n": 1}]
    await world.delete("cat.json", lost=lost)
    await (world.reconcile() if lost else world.work())
    assert world.data()["cat.jpg"] == [{"image": f"{BUCKET}/cat.jpg"}]
    assert (await world.look()).changed == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"\xff\xfe", b"null", said(text="x" * 2000), b'{"a":' * 2000], ids=range(7)
)
async def test_a_sidecar_that_cannot_be_read_costs_no_task_and_a_mended_one_counts(body: bytes) -> None:
    world = await opened()
    await world.put("cat.json", body)
    await world.put("cat.jpg")
    await world.work()
    assert world.data() == {"cat.jpg": [{"image": f"{BUCKET}/cat.jpg"}]}
    await world.put("cat.json", said(n=1))
    await world.work()
    assert world.data() == {"cat.jpg": [{"image": f"{BUCKET}/cat.jpg", "n": 1}]}


async def test_what_the_label_config_shows_of_a_sidecar_is_waited_for_as_a_dead_letter() -> None:
    world = await opened(xml=CAPTIONED)
    await world.put("cat.jpg")
    await world.work(seconds=6)
    assert world.data() == {}
    assert "'caption'" in (await world.dead())["cat.jpg"]
    await world.put("cat.json", said(caption="a cat"))
    await world.work()
    assert world.data() == {"cat.jpg": [{"image": f"{BUCKET}/cat.jpg", "caption": "a cat"}]}
    assert await world.dead() == {}


async def test_every_order_of_events_ends_alike() -> None:
    steps = [("cat.jpg", b"1"), ("cat.json", said(n=1)), ("cat.jpg", b"2"), ("cat.json", said(n=2))]
    for order in itertools.permutations(range(4)):
        world = await opened()
        events = [world.store.put(*step) for step in steps]
        for at in order:
            await world.saw(*events[at])
            await world.work()
        await world.work(seconds=10)
        assert world.data() == {"cat.jpg": [{"image": f"{BUCKET}/cat.jpg", "n": 2}]}, order


@pytest.mark.parametrize("fault", ["before", "after", "crash-before", "crash-after", "late"])
async def test_faults_neither_lose_nor_double(fault: str) -> None:
    world = await opened()
    world.faulty.faults = [fault, fault]
    for n in range(5):
        await world.put(f"{n}.jpg")
        await world.put(f"{n}.json", said(n=n))
    await world.work(seconds=20)
    await world.faulty.finish_late()
    await world.work(seconds=200)
    assert world.data() == {f"{n}.jpg": [{"image": f"{BUCKET}/{n}.jpg", "n": n}] for n in range(5)}


async def test_a_listing_joins_thousands_of_objects_with_their_sidecars() -> None:
    world = await opened()
    for n in range(2500):
        await world.put(f"{n}.jpg", lost=True)
        await world.put(f"{n}.json", said(n=n), lost=True)
    await world.put("no-picture.txt", lost=True)
    assert (await world.look()).new == 2500
    await world.work()
    assert len(world.data()) == 2500
    findings = await world.look()
    assert (findings.seen, findings.new, findings.changed, findings.gone) == (2500, 0, 0, 0)
