"""Objects into tasks: each version once, whatever goes wrong in between."""

import itertools
from dataclasses import replace

import pytest

from syncd.domain.errors import ConfigError
from syncd.domain.labels import label_config
from syncd.domain.model import ObjectRef, Observation, TaskState
from syncd.domain.routing import Route, Routes, Selection
from syncd.flows.reconcile import remake_discarded
from syncd.stores.memory import MemoryStore
from tests.flows.world import BUCKET, CAT, NAME, World


@pytest.fixture
async def world() -> World:
    return await World().open()


async def test_a_new_object_becomes_one_task_with_its_lineage(world: World) -> None:
    seen = await world.put("a.jpg")
    await world.work()
    task = world.person.work[world.task("a.jpg")]
    assert task.new.data == {"image": f"{BUCKET}/a.jpg"}
    assert task.new.meta["syncd"]["etag"] == seen.etag


async def test_ten_events_for_one_object_version_make_one_task(world: World) -> None:
    seen = await world.put("a.jpg")
    for _ in range(10):
        await world.saw(*world.store.put("b.jpg", b"x"))
        await world.work()
    await world.work()
    assert len(world.tasks()["a.jpg"]) == 1
    assert seen.etag


async def test_a_batch_is_one_import(world: World) -> None:
    for n in range(50):
        await world.put(f"{n}.jpg")
    await world.work()
    assert len(world.tasks()) == 50
    assert world.faulty.imports == 1


@pytest.mark.parametrize("fault", ["before", "after", "crash-before", "crash-after", "late", "timeout"])
@pytest.mark.parametrize("times", [1, 3])
async def test_an_import_that_goes_wrong_neither_loses_nor_doubles(world: World, fault: str, times: int) -> None:
    world.faulty.faults = [fault] * times
    for n in range(20):
        await world.put(f"{n}.jpg")
    await world.work(seconds=20)
    await world.faulty.finish_late()
    await world.work(seconds=200)
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == {f"{n}.jpg": 1 for n in range(20)}
    assert await world.state.intents(NAME) == []


async def test_two_faults_in_every_order_converge() -> None:
    for first, second in itertools.product(["before", "after", "crash-before", "crash-after"], repeat=2):
        world = await World().open()
        world.faulty.faults = [first, second]
        await world.put("a.jpg")
        await world.work(seconds=5)
        await world.put("b.jpg")
        await world.work(seconds=200)
        assert {k: len(t) for k, t in world.tasks().items()} == {"a.jpg": 1, "b.jpg": 1}, (first, second)


async def test_an_import_finished_after_we_gave_up_on_it_is_found_by_reconcile_and_its_double_retired(
    world: World,
) -> None:
    world.faulty.faults = ["late"]
    await world.put("a.jpg")
    await world.work(seconds=100)
    assert len(world.tasks()["a.jpg"]) == 1
    await world.faulty.finish_late()
    assert len(world.tasks()["a.jpg"]) == 2
    await world.reconcile()
    assert len(world.tasks()["a.jpg"]) == 1


async def test_the_time_an_import_may_still_take_counts_from_when_we_stopped_waiting_for_it(world: World) -> None:
    world.faulty.faults = ["timeout"]
    await world.put("a.jpg")
    await world.work()
    await world.work(seconds=29)
    assert world.faulty.imports == 1
    await world.work(seconds=10)
    assert world.faulty.imports == 2


async def test_one_object_of_a_batch_is_refused_without_a_word_which_and_the_others_go_on(world: World) -> None:
    world.faulty.refused_keys = {"7.jpg"}
    for n in range(20):
        await world.put(f"{n}.jpg")
    await world.work()
    assert set(world.tasks()) == {f"{n}.jpg" for n in range(20)} - {"7.jpg"}
    assert len(await world.state.dead_letters()) == 1


async def test_while_an_import_may_still_be_under_way_nothing_is_sent_again(world: World) -> None:
    world.faulty.faults = ["late"]
    await world.put("a.jpg")
    await world.work(seconds=29)
    assert world.faulty.imports == 1


async def test_an_object_the_annotator_refuses_becomes_a_dead_letter_and_the_others_go_on() -> None:
    world = await World(xml=label_config("text-classification", ["cat", "dog"])).open()
    await world.put("good.txt", b"a good text")
    await world.put("binary.txt", b"\xff\xfe\x00")
    await world.put("huge.txt", b"x" * 2_000_000)
    await world.put("also good.txt", "ünï".encode())
    await world.work()
    assert set(world.tasks()) == {"good.txt", "also good.txt"}
    assert world.person.work[world.task("also good.txt")].new.data == {"text": "ünï"}
    reasons = {letter.subject.id.split(" ", 1)[1]: letter.reason for letter in await world.state.dead_letters()}
    assert "UTF-8" in reasons["binary.txt"]
    assert "2000000" in reasons["huge.txt"].replace(",", "")


async def test_a_dead_letter_is_revived_by_a_new_event() -> None:
    world = await World(xml=label_config("text-classification", ["cat", "dog"])).open()
    await world.put("a.txt", b"\xff")
    await world.work()
    assert await world.state.dead_letters()
    await world.put("a.txt", b"better")
    await world.work()
    assert "a.txt" in world.tasks()
    assert not await world.state.dead_letters()


@pytest.mark.parametrize(("policy", "tasks"), [("new-task", 2), ("replace", 1), ("ignore", 1)])
async def test_an_overwritten_object(policy: str, tasks: int) -> None:
    world = await World(on_change=policy).open()
    await world.put("a.jpg")
    await world.work()
    first = world.task("a.jpg")
    await world.put("a.jpg", b"other")
    await world.work()
    after = world.tasks()["a.jpg"]
    assert len(after) == tasks
    assert (first in after) == (policy != "replace")


async def test_replacing_keeps_human_work_and_takes_it_out_of_work() -> None:
    world = await World(on_change="replace").open()
    await world.put("a.jpg")
    await world.work()
    worked = world.task("a.jpg")
    world.person.submit(worked, CAT)
    await world.put("a.jpg", b"other")
    await world.work()
    assert worked in world.tasks()["a.jpg"]
    assert world.person.work[worked].retired == "object changed"
    assert (await world.state.by_task(NAME, [worked]))[worked][0].state is TaskState.RETIRED


@pytest.mark.parametrize(("policy", "left"), [("keep", 1), ("retire", 0)])
async def test_a_deleted_object(policy: str, left: int) -> None:
    world = await World(on_delete=policy).open()
    await world.put("a.jpg")
    await world.work()
    await world.delete("a.jpg")
    await world.work()
    assert len(world.tasks().get("a.jpg", [])) == left


async def test_a_deletion_that_is_not_true_retires_nothing() -> None:
    world = await World(on_delete="retire").open()
    await world.put("a.jpg")
    await world.work()
    ref, gone = world.store.delete("a.jpg")
    await world.put("a.jpg", b"back", lost=True)  # only the stale deletion arrives
    await world.saw(ref, gone)
    await world.work()
    assert len(world.tasks()["a.jpg"]) == 2, "the task stays, and the version that is there now has one too"


async def test_an_object_that_comes_back_takes_its_worked_task_back_into_work() -> None:
    world = await World(on_delete="retire").open()
    seen = await world.put("a.jpg")
    await world.work()
    task = world.task("a.jpg")
    world.person.submit(task, CAT)
    await world.delete("a.jpg")
    await world.work()
    assert world.person.work[task].retired
    ref, _ = world.store.put("a.jpg", b"x")
    world.store._objects["a.jpg"] = (b"x", seen.etag or "")
    await world.saw(ref, await world.store.head("a.jpg"))
    await world.work()
    assert world.task("a.jpg") == task
    assert world.person.work[task].retired is None


async def test_a_task_a_person_deleted_is_not_made_again_for_the_same_version(world: World) -> None:
    await world.put("a.jpg")
    await world.work()
    world.person.delete_task(world.task("a.jpg"))
    await world.reconcile()
    await world.reconcile()
    assert world.tasks() == {}
    await world.put("a.jpg", b"new bytes")
    await world.work()
    assert len(world.tasks()["a.jpg"]) == 1


@pytest.mark.parametrize("policy", ["new-task", "replace"])
async def test_an_event_that_comes_late_or_again_after_a_newer_one_changes_nothing(policy: str) -> None:
    world = await World(on_change=policy).open()
    old = await world.put("a.jpg")
    await world.work()
    await world.put("a.jpg", b"newer")
    await world.work()
    before = world.tasks()
    await world.saw(ObjectRef(BUCKET, "a.jpg"), replace(old, observed_at=world.clock.now() + 5))
    await world.work()
    assert world.tasks() == before


async def test_an_object_that_may_still_be_being_written_is_looked_at_again() -> None:
    world = await World().open()
    ref, seen = world.store.put("a.jpg", b"whole")
    await world.saw(ref, replace(seen, etag="half", settled=False))
    await world.work(seconds=3)
    (record,) = (await world.state.records(NAME, [ref]))[ref]
    assert record.etag == seen.etag


async def test_an_object_that_is_still_being_written_when_it_is_looked_at_waits() -> None:
    world = await World().open()

    class Slow(MemoryStore):
        looks = 0

        async def head(self, key: str) -> Observation:
            self.looks += 1
            return replace(await super().head(key), settled=self.looks > 3)

    store = world.store = world.dataset.stores[BUCKET] = Slow(BUCKET, world.clock)  # type: ignore[index]
    ref, seen = store.put("a.jpg", b"x")
    await world.saw(ref, replace(seen, settled=False))
    await world.work(seconds=2)
    assert world.tasks() == {}
    await world.work(seconds=3)
    assert "a.jpg" in world.tasks()


async def test_an_object_that_the_configuration_does_not_select_any_more_gets_no_new_task() -> None:
    world = await World().open()
    await world.put("a.jpg")
    await world.work()
    world.dataset = replace(world.dataset, routes=Routes([Route(NAME, BUCKET, (Selection(("*.png",)),))]))
    await world.put("a.jpg", b"changed")
    await world.put("b.jpg")
    await world.work()
    await world.reconcile()
    assert {key: len(tasks) for key, tasks in world.tasks().items()} == {"a.jpg": 1}


async def test_a_dataset_made_anew_under_its_title_is_not_filled_blindly() -> None:
    world = await World().open()
    await world.put("a.jpg")
    await world.work()
    world.annotator.forget(NAME)
    world.annotator.faulty = None
    world.restart()
    with pytest.raises(ConfigError, match="syncd dataset delete"):
        await world.dataset.remote()


async def test_a_dataset_full_of_our_tasks_is_not_filled_again_when_the_state_was_lost() -> None:
    world = await World().open()
    await world.put("a.jpg")
    await world.work()
    await world.state.forget(NAME)
    world.restart()
    with pytest.raises(ConfigError, match="state file"):
        await world.dataset.remote()
    assert len(world.tasks()["a.jpg"]) == 1


async def test_tasks_a_backup_of_the_annotator_did_not_hold_can_be_made_again() -> None:
    world = await World().open()
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        await world.put(key)
    await world.work()
    world.person.delete_task(world.task("c.jpg"))
    await world.reconcile()
    assert await remake_discarded(world.dataset) == 1
    await world.reconcile()
    assert set(world.tasks()) == {"a.jpg", "b.jpg", "c.jpg"}
