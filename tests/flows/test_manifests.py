"""Manifests: each row is one task, once, however often the manifest is told of, replaced, broken or taken away."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.domain.layout import Layout, Manifests
from syncd.domain.manifests import row_version
from syncd.domain.routing import Selection
from tests.flows.composed import ComposedWorld
from tests.flows.world import BUCKET, NAME

TEXT = """<View><Text name="t" value="$text"/>
<Choices name="choice" toName="t"><Choice value="good"/><Choice value="bad"/></Choices></View>"""
IMAGE = """<View><Image name="i" value="$image"/><Text name="t" value="$question"/>
<Choices name="choice" toName="i"><Choice value="yes"/><Choice value="no"/></Choices></View>"""
YES = [{"id": "r", "type": "choices", "from_name": "choice", "to_name": "i", "value": {"choices": ["yes"]}}]
GOOD = [{"id": "r", "type": "choices", "from_name": "choice", "to_name": "t", "value": {"choices": ["good"]}}]
KEY = "batch/1.tasks.jsonl"


def layout(*, id_column: str | None = "id", limit: int = 1 << 20, most: int = 5000) -> Layout:
    return Layout(manifests=Manifests(Selection(("*.tasks.jsonl",)), id_column, limit, most))


async def opened(made_of: Layout | None = None, *, xml: str = TEXT, **options: str) -> ComposedWorld:
    world = ComposedWorld(made_of or layout(), xml=xml, **({"on_change": "replace", "on_delete": "retire"} | options))
    await world.open()
    return world


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def texts(**said: str) -> bytes:
    return lines(*({"id": name, "text": text} for name, text in said.items()))


def shown(world: ComposedWorld) -> dict[str, list[str]]:
    return {key.partition("#")[2]: [task["text"] for task in tasks] for key, tasks in world.data().items()}


async def test_each_row_becomes_a_task_and_the_manifest_none() -> None:
    world = await opened()
    await world.put("batch/readme.txt")
    await world.put(KEY, texts(a="one", b="two"))
    await world.work()
    assert world.data() == {f"{KEY}#a": [{"id": "a", "text": "one"}], f"{KEY}#b": [{"id": "b", "text": "two"}]}
    assert world.faulty.imports == 1


async def test_a_replaced_manifest_changes_only_what_differs() -> None:
    world = await opened()
    await world.put(KEY, texts(a="one", b="two", c="three"))
    await world.work()
    before = world.tasks()
    await world.put(KEY, texts(d="four", c="three", b="another two"))
    await world.work()
    assert shown(world) == {"b": ["another two"], "c": ["three"], "d": ["four"]}
    assert world.tasks()[f"{KEY}#c"] == before[f"{KEY}#c"]


async def test_a_row_that_changes_on_the_way_to_its_task_is_never_recorded_as_what_it_was() -> None:
    world = await opened()
    await world.put(KEY, texts(a="one"))
    workers = world.workers()
    await workers.start_one()  # the manifest, which marks its rows
    await workers.finish()
    await world.put(KEY, texts(a="another one"), lost=True)
    world.clock.advance(5)
    await world.work(seconds=5)
    (record,) = [r async for page in world.state.walk(NAME, f"rows+{BUCKET}") for r in page]
    assert shown(world) == {"a": ["another one"]}
    assert record.etag == row_version({"id": "a", "text": "another one"})


@pytest.mark.parametrize(
    ("on_change", "on_delete", "wanted"),
    [
        ("new-task", "keep", {"a": ["one", "uno"], "b": ["two"]}),
        ("ignore", "keep", {"a": ["one"], "b": ["two"]}),
        ("replace", "retire", {"a": ["uno"]}),
    ],
)
async def test_the_policies_of_the_dataset_decide(on_change: str, on_delete: str, wanted: dict[str, list[str]]) -> None:
    world = await opened(on_change=on_change, on_delete=on_delete)
    await world.put(KEY, texts(a="one", b="two"))
    await world.work()
    await world.put(KEY, texts(a="uno"))
    await world.work()
    assert shown(world) == wanted


async def test_human_work_on_a_row_that_left_is_kept_and_is_back_with_the_row() -> None:
    world = await opened()
    await world.put(KEY, texts(a="one", b="two"))
    await world.work()
    task = world.task(f"{KEY}#a")
    world.person.submit(task, GOOD)
    await world.webhook(task)
    await world.work(seconds=61)
    await world.put(KEY, texts(b="two"))
    await world.work(seconds=61)
    assert set(shown(world)) == {"b"}
    (row,) = (await world.rows()).values()
    assert (row.retired, row.key, row.bucket) == (True, f"{KEY}#a", f"rows+{BUCKET}")
    await world.put(KEY, texts(a="one", b="two"))
    await world.work(seconds=61)
    assert set(shown(world)) == {"a", "b"}
    assert world.task(f"{KEY}#a") == task


async def test_the_same_event_again_and_again_makes_nothing_again() -> None:
    world = await opened()
    seen = await world.put(KEY, texts(a="one", b="two"))
    for _ in range(3):
        await world.saw(*world.store.put("other.txt", b"x"))
        await world.saw((await anext(world.store.list()))[0][0], seen)
        world.restart()
        await world.work()
        world.clock.advance(5)
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == {f"{KEY}#a": 1, f"{KEY}#b": 1}


async def test_without_an_id_a_row_is_its_content() -> None:
    world = await opened(layout(id_column=None))
    await world.put(KEY, lines({"text": "one"}, {"text": "two"}, {"text": "one"}))
    await world.work()
    assert sorted(text for found in shown(world).values() for text in found) == ["one", "two"]
    await world.put(KEY, lines({"text": "two"}, {"text": "three"}))
    await world.work()
    assert sorted(text for found in shown(world).values() for text in found) == ["three", "two"]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_manifest_that_is_deleted_takes_its_rows_along(lost: bool) -> None:
    world = await opened()
    await world.put(KEY, texts(a="one"))
    await world.put("other.tasks.jsonl", texts(a="one", b="two", c="three"))
    await world.work()
    await world.delete(KEY, lost=lost)
    await (world.reconcile() if lost else world.work())
    assert set(world.data()) == {f"other.tasks.jsonl#{name}" for name in "abc"}


async def test_lost_events_are_made_good_and_a_second_look_finds_nothing() -> None:
    world = await opened()
    await world.put(KEY, texts(**{f"n{n}": f"text {n}" for n in range(2500)}), lost=True)
    assert (await world.look()).new == 2500
    await world.work()
    world.restart()
    second = await world.look()
    assert (second.known, second.seen, second.new, second.changed, second.gone) == (2500, 2500, 0, 0, 0)


BROKEN = {
    "no JSON": b'{"id": "a", "text": "one"}\n{"id": ',
    "no object": b'["a"]',
    "not UTF-8": b'{"id": "a", "text": "\xff"}',
    "no id": b'{"text": "one"}',
    "an id of another kind": b'{"id": 1.5, "text": "one"}',
    "an id twice": texts(a="one") + b'\n{"id": "a", "text": "two"}',
    "too many rows": lines(*({"id": n, "text": "x"} for n in range(5001))),
    "too large": texts(a="x" * (1 << 20)),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_manifest_is_a_dead_letter_and_changes_nothing_until_it_is_mended(body: bytes) -> None:
    world = await opened()
    await world.put(KEY, texts(a="one", b="two"))
    await world.work()
    await world.put(KEY, body)
    await world.work()
    await world.reconcile_quietly()
    assert shown(world) == {"a": ["one"], "b": ["two"]}
    assert set(await world.dead()) == {KEY}
    await world.put(KEY, texts(a="one", c="three"))
    await world.work()
    assert shown(world) == {"a": ["one"], "c": ["three"]}
    assert await world.dead() == {}


async def test_a_broken_manifest_holds_up_no_other() -> None:
    world = await opened()
    await world.put("bad.tasks.jsonl", b"{", lost=True)
    await world.put("good.tasks.jsonl", texts(a="one"), lost=True)
    await world.reconcile_quietly()
    assert set(world.data()) == {"good.tasks.jsonl#a"}


async def test_one_row_that_lacks_what_is_shown_is_a_dead_letter_of_its_own() -> None:
    world = await opened()
    await world.put(KEY, lines({"id": 1, "text": "one"}, {"id": 2}, {"id": 3, "text": 3}))
    await world.work()
    assert set(shown(world)) == {"1", "3"}
    assert "'text'" in (await world.dead())[f"{KEY}#2"]


async def test_a_row_may_link_to_objects_by_key_or_by_url() -> None:
    world = await opened(xml=IMAGE)
    rows = [
        {"id": "key", "image": "cats/1.jpg", "question": "a cat?"},
        {"id": "url", "image": f"{BUCKET}/cats/2.jpg", "question": "a cat?"},
        {"id": "cloud", "image": "s3://elsewhere/3.jpg", "question": "a cat?"},
        {"id": "web", "image": "https://example.com/4.jpg", "question": "a cat?"},
    ]
    await world.put(KEY, lines(*rows))
    await world.work()
    assert {key.partition("#")[2]: task["image"] for key, (task,) in world.data().items()} == {
        "key": f"{BUCKET}/cats/1.jpg",
        "url": f"{BUCKET}/cats/2.jpg",
        "cloud": "s3://elsewhere/3.jpg",
        "web": "https://example.com/4.jpg",
    }
    world.person.submit(world.task(f"{KEY}#key"), YES)
    await world.webhook(world.task(f"{KEY}#key"))
    await world.work(seconds=61)
    (row,) = (await world.rows()).values()
    assert (row.bucket, row.key, row.etag) == (BUCKET, "cats/1.jpg", None)


@pytest.mark.parametrize("fault", ["before", "after", "crash-before", "crash-after", "late"])
async def test_faults_neither_lose_nor_double(fault: str) -> None:
    world = await opened()
    world.faulty.faults = [fault, fault]
    await world.put(KEY, texts(**{f"n{n}": f"text {n}" for n in range(20)}))
    await world.work(seconds=20)
    world.restart()
    await world.faulty.finish_late()
    await world.work(seconds=200)
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == {f"{KEY}#n{n}": 1 for n in range(20)}


Rows = st.dictionaries(st.sampled_from(["a", "b#c", "d/e", "ü", "%23"]), st.sampled_from(["1", "2"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x", "x#y"]), st.none() | Rows, st.booleans()), max_size=10))
async def test_after_any_history_the_tasks_are_exactly_the_rows(
    history: list[tuple[str, dict[str, str] | None, bool]],
) -> None:
    world = await opened()
    there: dict[str, dict[str, str]] = {}
    for name, rows, lost in history:
        key = f"{name}.tasks.jsonl"
        if rows is None:
            there.pop(key, None)
            await world.delete(key, lost=lost)
        else:
            there[key] = rows
            await world.put(key, texts(**rows) or b"\n", lost=lost)
        await world.work()
    await world.reconcile(force=True)
    found = sorted((task["id"], task["text"]) for tasks in world.data().values() for task in tasks)
    assert found == sorted(pair for rows in there.values() for pair in rows.items())
