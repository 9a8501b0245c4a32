"""Annotations into rows and rows into versions."""

import pytest

from syncd.domain.model import RowStatus, TaskState
from tests.flows.world import CAT, DOG, NAME, UNICORN, World


@pytest.fixture
async def world() -> World:
    world = await World().open()
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        await world.put(key)
    await world.work()
    return world


async def test_a_submitted_annotation_is_in_the_next_version_with_its_lineage(world: World) -> None:
    task = world.task("a.jpg")
    annotation = world.person.submit(task, CAT)
    await world.webhook(task)
    await world.work(seconds=61)
    (row,) = (await world.rows()).values()
    assert (row.annotation_id, row.task_id, row.key, row.labels) == (annotation, task, "a.jpg", ("cat",))
    assert row.etag == (await world.store.head("a.jpg")).etag
    assert row.label_config_hash == world.dataset.config.hash


async def test_the_same_webhook_many_times_makes_one_version(world: World) -> None:
    world.person.submit(world.task("a.jpg"), CAT)
    for n in range(5):
        await world.webhook(world.task("a.jpg"))
        await world.work()
        assert await world.state.staged_count(NAME) == (n == 0), "what did not change is not staged again"
        await world.work(seconds=100)
    assert [v.name for v in await world.snapshots.versions(NAME)] == ["v1"]


@pytest.mark.parametrize("fault", ["before", "after", "crash-before", "crash-after"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_commit_that_goes_wrong_neither_loses_rows_nor_makes_two_versions(
    world: World, fault: str, times: int
) -> None:
    world.snapshots.faults = [fault] * times
    annotations = {world.person.submit(world.task(key), CAT) for key in ("a.jpg", "b.jpg")}
    await world.webhook(world.task("a.jpg"), world.task("b.jpg"))
    await world.work(seconds=400)
    assert set(await world.rows()) == annotations
    assert [v.name for v in await world.snapshots.versions(NAME)] == ["v1"]
    assert await world.state.staged_count(NAME) == 0


async def test_every_kind_of_answer_is_kept_apart(world: World) -> None:
    task = world.task("a.jpg")
    ids = {
        world.person.submit(task, CAT): RowStatus.SUBMITTED,
        world.person.submit(task, DOG, annotator="2"): RowStatus.SUBMITTED,
        world.person.submit(task, UNICORN): RowStatus.INVALID,
        world.person.skip(task): RowStatus.SKIPPED,
        world.person.draft(task, CAT): RowStatus.DRAFT,
    }
    await world.webhook(task)
    await world.work(seconds=61)
    rows = await world.rows()
    assert {id_: row.status for id_, row in rows.items()} == ids
    assert [row.invalid_reason for row in rows.values() if row.invalid_reason] != []
    assert {row.annotator for row in rows.values()} == {"1", "2"}


async def test_a_correction_replaces_the_row_and_a_withdrawal_removes_it(world: World) -> None:
    task = world.task("a.jpg")
    annotation = world.person.submit(task, CAT)
    await world.webhook(task)
    await world.work(seconds=61)
    world.person.update_annotation(annotation, DOG)
    await world.webhook(task)
    await world.work(seconds=61)
    assert (await world.rows())[annotation].labels == ("dog",)
    world.person.delete_annotation(annotation)
    await world.webhook(task)
    await world.work(seconds=61)
    assert await world.rows() == {}
    assert (await world.snapshots.rows(NAME, 1))[0].labels == ("cat",)


async def test_a_lost_webhook_is_found_by_reconcile(world: World) -> None:
    world.person.submit(world.task("a.jpg"), CAT)
    await world.reconcile()
    await world.work(seconds=61)
    assert len(await world.rows()) == 1


async def test_rows_of_a_task_that_was_deleted_leave_the_next_version(world: World) -> None:
    task = world.task("a.jpg")
    world.person.submit(task, CAT)
    await world.webhook(task)
    await world.work(seconds=61)
    world.person.delete_task(task)
    await world.reconcile()
    await world.work(seconds=61)
    assert await world.rows() == {}


@pytest.mark.parametrize("new", ["d.jpg", "e.jpg", "f.jpg", "g.jpg", "h.jpg"])
async def test_an_id_given_away_again_belongs_to_the_new_task_alone(world: World, new: str) -> None:
    """Label Studio on SQLite gives the highest task id away again once its task is deleted."""
    old = world.task("c.jpg")
    world.person.submit(old, CAT)
    await world.webhook(old)
    await world.work(seconds=61)
    world.person.delete_task(old)
    await world.put(new)
    await world.work()
    assert world.task(new) == old
    await world.reconcile()
    await world.work(seconds=61)
    assert await world.rows() == {}
    world.person.submit(old, DOG)
    await world.webhook(old)
    await world.work(seconds=61)
    assert {row.key for row in (await world.rows()).values()} == {new}
    records = {r.ref.key: r.state for r in (await world.state.by_task(NAME, [old]))[old]}
    assert records == {"c.jpg": TaskState.DISCARDED, new: TaskState.ACTIVE}


async def test_a_webhook_for_a_task_nobody_knows_is_harmless(world: World) -> None:
    await world.webhook("999999")
    await world.work(seconds=61)
    assert await world.rows() == {}
    assert not await world.state.dead_letters()


async def test_a_version_comes_after_so_many_changes_at_once() -> None:
    world = await World(after_changes=3).open()
    for n in range(3):
        await world.put(f"{n}.jpg")
    await world.work()
    for n in range(3):
        world.person.submit(world.task(f"{n}.jpg"), CAT)
        await world.webhook(world.task(f"{n}.jpg"))
        await world.work()
        assert len(await world.snapshots.versions(NAME)) == (n == 2)


async def test_a_version_comes_after_quiet_and_at_the_latest_after_so_long(world: World) -> None:
    task = world.task("a.jpg")
    for _ in range(13):  # never quiet for 60 s, but 600 s pass
        world.person.submit(task, CAT)
        await world.webhook(task)
        await world.work(seconds=50)
    assert len(await world.snapshots.versions(NAME)) == 1
    await world.work(seconds=61)
    assert len(await world.snapshots.versions(NAME)) == 2


async def test_retiring_a_worked_task_shows_in_its_row() -> None:
    world = await World(on_delete="retire").open()
    await world.put("a.jpg")
    await world.work()
    world.person.submit(world.task("a.jpg"), CAT)
    await world.delete("a.jpg")
    await world.work(seconds=61)
    (row,) = (await world.rows()).values()
    assert row.retired
