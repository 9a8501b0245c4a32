"""A state that was lost at any moment is made anew, from annotator and snapshots: nothing lost, nothing doubled."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.domain.errors import Rejected
from syncd.domain.model import NewTask, Record, RowStatus, TaskState
from syncd.flows.rebuild import Rebuilt, rebuild
from syncd.state import MemoryState
from tests.flows.world import BUCKET, CAT, DOG, NAME, World

EXAMPLES = int(os.environ.get("SYNCD_HISTORIES", "60"))
KEYS = ("a.jpg", "b.jpg", "c.jpg")


async def lose(world: World) -> Rebuilt:
    """The state is gone, whatever was under way; what the annotator was asked for is done; and it is made anew."""
    world.state = MemoryState(world.clock)
    world.dataset = replace(world.dataset, state=world.state, _remote=None)
    world.clock.advance(world.dataset.settle_imports)
    await world.faulty.finish_late()
    return await rebuild(world.dataset, world.snapshots)


async def rest(world: World) -> None:
    """Looks and work until nothing is left to do."""
    for _ in range(2):
        await world.reconcile(force=True)
        await world.work(seconds=700)


async def records(world: World) -> set[Record]:
    """What is known of tasks that are there."""
    found = {record async for page in world.state.walk(NAME, BUCKET) for record in page}
    return {record for record in found if record.state in (TaskState.ACTIVE, TaskState.RETIRED)}


async def known(world: World) -> dict[str, dict[str, str]]:
    return await world.state.known(NAME, list(world.person.work))


def versions_with_tasks(world: World) -> Counter[tuple[str, str]]:
    """(key, etag) of every task in the annotator."""
    lineages = [task.new.meta["syncd"] for task in world.person.work.values()]
    return Counter((lineage["key"], lineage["etag"]) for lineage in lineages)


async def test_at_rest_the_new_state_says_what_the_old_one_said_and_nothing_is_left_to_do() -> None:
    world = await World(on_change="replace", on_delete="retire").open()
    for key in ("kept", "labelled", "changed", "deleted with work", "deleted"):
        await world.put(key)
    await world.work()
    for key in ("labelled", "changed", "deleted with work"):
        world.person.submit(world.task(key), CAT)
    await world.reconcile()
    await world.work(seconds=700)
    await world.put("changed", b"another")
    await world.delete("deleted with work")
    await world.delete("deleted")
    await rest(world)
    before = (await records(world), await known(world), await world.snapshots.versions(NAME), world.faulty.imports)

    found = await lose(world)
    assert (found.active, found.retired, found.rows) == (3, 2, 3)
    assert (found.discarded, found.doubled, found.unreadable, found.elsewhere) == (0, 0, 0, 0)
    assert (await records(world), await known(world)) == before[:2]
    await rest(world)
    assert (await records(world), await known(world), await world.snapshots.versions(NAME), world.faulty.imports) == (
        before
    )


async def test_what_changed_while_there_was_no_state_is_found() -> None:
    world = await World().open()
    for key in KEYS:
        await world.put(key)
    await world.work()
    first, second = (world.person.submit(world.task(key), CAT) for key in KEYS[:2])
    await world.reconcile()
    await world.work(seconds=700)
    world.person.update_annotation(first, DOG)
    world.person.delete_annotation(second)
    world.person.submit(world.task("c.jpg"), CAT)
    await world.put("d.jpg", lost=True)
    await lose(world)
    await rest(world)
    assert sorted((row.key, row.labels) for row in (await world.rows()).values()) == [
        ("a.jpg", ("dog",)),
        ("c.jpg", ("cat",)),
    ]
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == dict.fromkeys([*KEYS, "d.jpg"], 1)


async def test_a_task_that_a_person_deleted_is_not_made_again_as_far_as_rows_tell_of_it() -> None:
    world = await World().open()
    for key in KEYS:
        await world.put(key)
    await world.work()
    world.person.submit(world.task("a.jpg"), CAT)
    await world.reconcile()
    await world.work(seconds=700)
    world.person.delete_task(world.task("a.jpg"))
    found = await lose(world)
    assert found.samples["discarded"] == ["1"]
    await rest(world)
    assert world.tasks().keys() == {"b.jpg", "c.jpg"}
    assert await world.rows() == {}


async def test_tasks_of_a_bucket_that_is_not_configured_keep_their_records_and_are_told_of() -> None:
    world = await World().open()
    await world.put("a.jpg")
    await world.work()
    world.dataset = replace(world.dataset, stores={})
    found = await lose(world)
    assert found.samples["elsewhere"] == [world.task("a.jpg")]
    assert {record.ref.key for record in await records(world)} == {"a.jpg"}


async def test_tasks_made_twice_before_are_told_of_and_one_of_them_goes() -> None:
    world = await World().open()
    world.faulty.faults = ["late"]
    await world.put("a.jpg")
    await world.work(seconds=60)  # looked up in vain, and sent again
    found = await lose(world)  # where the first one is done after all
    assert found.samples["doubled"] == ["2"]
    assert len(world.tasks()["a.jpg"]) == 2
    await rest(world)
    assert world.tasks() == {"a.jpg": ["1"]}


async def test_of_two_tasks_of_one_import_that_in_work_counts_however_old_it_is() -> None:
    world = await World().open()
    world.faulty.faults = ["late"]
    await world.put("a.jpg")
    await world.work(seconds=60)
    await world.faulty.finish_late()
    world.person.submit("1", CAT)
    world.person.work["1"].retired = "made twice"
    found = await lose(world)
    assert (found.active, found.retired, found.doubled) == (1, 0, 0)
    assert {(record.task_id, record.state) for record in await records(world)} == {("2", TaskState.ACTIVE)}


async def test_tasks_that_do_not_say_what_they_are_of_are_told_of() -> None:
    world = await World().open()
    unreadable: list[dict[str, Any]] = [
        {},
        {"syncd": None},
        {"syncd": {"bucket": BUCKET}},
        {"syncd": {"bucket": 1, "key": 2, "serial": 3}},
    ]
    await world.person.import_tasks("m", [NewTask(f"key {n}", {"image": "i"}, m) for n, m in enumerate(unreadable)])
    found = await lose(world)
    assert (found.unreadable, found.samples["unreadable"]) == (4, ["1", "2", "3", "4"])
    assert await records(world) == set()


async def test_versions_without_their_dataset_in_the_annotator_are_refused() -> None:
    """Else the next start would make all tasks anew, where only a title was changed."""
    world = await World().open()
    await world.put("a.jpg")
    await world.work()
    world.person.submit(world.task("a.jpg"), CAT)
    await rest(world)
    await world.person.delete()
    with pytest.raises(Rejected, match="renamed"):
        await lose(world)


async def test_nothing_anywhere_is_nothing_to_rebuild() -> None:
    world = World()
    assert await rebuild(world.dataset, world.snapshots) == Rebuilt()


# ---------------------------------------------------------------- any history

FAULTS = ("before", "after", "crash-before", "crash-after")


def histories(*faults: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from(KEYS), st.binary(min_size=1, max_size=1), st.booleans()),
            st.tuples(st.just("delete"), st.sampled_from(KEYS), st.booleans()),
            st.tuples(st.just("fault"), st.sampled_from(faults)),
            st.tuples(st.sampled_from(["submit", "correct", "skip", "withdraw", "throw away"]), st.integers(0, 5)),
            st.tuples(st.just("work"), st.sampled_from([0, 40, 700])),
            st.tuples(st.just("reconcile")),
        ),
        max_size=25,
    )


async def happen(world: World, happening: Sequence[Any], thrown: set[tuple[str, str]]) -> None:
    match happening:
        case ("put", key, data, lost):
            await world.put(key, data, lost=lost)
        case ("delete", key, lost):
            if key in world.store._objects:
                await world.delete(key, lost=lost)
        case ("fault", fault):
            world.faulty.faults.append(fault)
        case ("work", seconds):
            await world.work(seconds=seconds)
        case ("reconcile",):
            await world.reconcile(force=True)
        case (deed, number):
            at_work(world, deed, number, thrown)


def at_work(world: World, deed: str, number: int, thrown: set[tuple[str, str]]) -> None:
    """A person does something to one of the tasks, if there is any."""
    if not world.person.work:
        return
    task = list(world.person.work.values())[number % len(world.person.work)]
    answers = list(task.annotations)
    match deed:
        case "submit":
            world.person.submit(str(task.id), CAT)
        case "skip":
            world.person.skip(str(task.id))
        case "correct" if answers:
            world.person.update_annotation(answers[0], DOG)
        case "withdraw" if answers:
            world.person.delete_annotation(answers[0])
        case "throw away":
            thrown.add((task.new.meta["syncd"]["key"], task.new.meta["syncd"]["etag"]))
            world.person.delete_task(str(task.id))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    before=histories(*FAULTS, "late"),  # whose imports are done before the state is rebuilt
    after=histories(*FAULTS),
    on_change=st.sampled_from(["new-task", "replace", "ignore"]),
    on_delete=st.sampled_from(["keep", "retire"]),
)
async def test_lost_at_any_moment_it_converges(
    before: list[Any], after: list[Any], on_change: str, on_delete: str
) -> None:
    world = await World(on_change=on_change, on_delete=on_delete).open()
    thrown: set[tuple[str, str]] = set()
    for happening in before:
        await happen(world, happening, thrown)
    world.faulty.faults.clear()
    await lose(world)
    there = versions_with_tasks(world)
    await world.reconcile(force=True)
    made_again = {version for version, count in (versions_with_tasks(world) - there).items() if version in there}
    assert not made_again
    for happening in after:
        await happen(world, happening, thrown)
    world.faulty.faults.clear()
    await rest(world)
    check_tasks(world, thrown)
    await check_rows(world)


def check_tasks(world: World, thrown: set[tuple[str, str]]) -> None:
    """Each version that is there has its one task in work, as the policies say."""
    in_work = Counter(
        (task.new.meta["syncd"]["key"], task.new.meta["syncd"]["etag"])
        for task in world.person.work.values()
        if task.retired is None
    )
    assert all(count == 1 for count in in_work.values()), f"doubled: {in_work}"
    now = {(key, world.store._observe(key).etag or "") for key in world.store._objects}
    ignored = {key for key, _ in in_work} if world.dataset.policy.on_change == "ignore" else set()
    missing = {version for version in now - in_work.keys() - thrown if version[0] not in ignored}
    assert not missing
    if world.dataset.policy.on_change == "replace" and world.dataset.policy.on_delete == "retire":
        assert in_work.keys() <= now


async def check_rows(world: World) -> None:
    """The newest version holds the answers that are there, as they are now, with where they come from."""
    rows = {
        id_: (row.task_id, row.status, row.labels, row.key, row.etag, row.retired)
        for id_, row in (await world.rows()).items()
    }
    behind = {(record.task_id, record.task_key) for record in await records(world)}
    answers = {}
    for task in world.person.work.values():
        lineage = task.new.meta["syncd"] if (str(task.id), task.new.task_key) in behind else {}
        for answer in task.annotations.values():
            labels = tuple(label for region in answer.result for label in region["value"]["choices"])
            retired = task.retired is not None and bool(lineage)
            told = (lineage.get("key"), lineage.get("etag"), retired)
            answers[answer.id] = (str(task.id), RowStatus(answer.status), labels, *told)
    assert rows == answers
