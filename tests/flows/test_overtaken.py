"""A process that stands still past its lease, or dies between two steps: what it does when it wakes harms nobody.

Step by step what the simulation (`tests/simulate`) meets at random; each story failed before it was mended.
"""

from dataclasses import replace

import pytest

from syncd.domain.errors import Conflict, Retryable
from syncd.domain.model import Kind, ObjectRef, Outcome, Record, Settlement, TaskState
from syncd.domain.planning import OnDelete
from syncd.flows.collect import collect
from syncd.flows.ingest import ingest
from syncd.flows.reconcile import Caution, reconcile_tasks
from syncd.flows.snapshot import commit_staged
from tests.flows.sleeper import Sleeper
from tests.flows.test_histories import TEXT
from tests.flows.world import BUCKET, CAT, DOG, NAME, World

A = ObjectRef(BUCKET, "a.jpg")


async def world_with_an_answer() -> tuple[World, str, str]:
    """One task with one answer, which is in v1; the task and the answer."""
    world = await World(after_changes=1).open()
    await world.put("a.jpg")
    await world.work()
    task = world.task("a.jpg")
    answer = world.person.submit(task, CAT)
    await world.webhook(task)
    await world.work()
    return world, task, answer


async def record_of(world: World) -> Record:
    return (await world.state.records(NAME, [A]))[A][-1]


async def come_to_rest(world: World) -> None:
    await world.reconcile(force=True)
    await world.work(seconds=70)


@pytest.mark.parametrize("corrections", [1, 2])
async def test_rows_that_were_read_long_ago_are_not_committed_over_newer_ones(corrections: int) -> None:
    world, task, answer = await world_with_an_answer()
    world.dataset = replace(world.dataset, snapshots=replace(world.dataset.snapshots, after_changes=100))
    await _corrects(world, task, answer, "old")

    async def others_go_on() -> None:
        for _ in range(corrections):
            await _corrects(world, task, answer, "new")
            await commit_staged(world.dataset, world.snapshots)

    await commit_staged(world.dataset, Sleeper(world.snapshots, "commit", others_go_on))
    assert (await world.rows())[answer].annotator == "new"
    assert await world.state.staged_count(NAME) == 0


async def _corrects(world: World, task: str, answer: str, annotator: str) -> None:
    annotations = world.person.work[task].annotations
    annotations[answer] = replace(annotations[answer], annotator=annotator)
    await world.webhook(task)
    claims = await world.state.claim(limit=9, lease=60)
    await world.state.settle(await collect(world.dataset, [c for c in claims if c.subject.kind is Kind.TASK]))


@pytest.mark.parametrize("asleep_at", ["stage", "known", "staged_count"])
async def test_what_was_read_of_a_task_long_ago_is_not_staged_over_what_is_newer(asleep_at: str) -> None:
    world, task, answer = await world_with_an_answer()
    await world.webhook(task)
    world.person.update_annotation(answer, DOG)
    claims = await world.state.claim(limit=9, lease=60)

    async def others_go_on() -> None:
        world.clock.advance(61)
        world.person.update_annotation(answer, CAT)
        await world.webhook(task)
        await world.work(seconds=5)

    sleeping = replace(world.dataset, state=Sleeper(world.state, asleep_at, others_go_on))
    await world.state.settle(await collect(sleeping, claims))
    await world.work(seconds=70)
    assert (await world.rows())[answer].labels == ("cat",)


async def test_a_deletion_is_noted_only_with_the_rows_that_leave_for_it() -> None:
    """Who lost its claim stages nothing; if it noted the deletion all the same, nobody would look again."""
    world, task, answer = await world_with_an_answer()
    await world.webhook(task)
    claims = await world.state.claim(limit=9, lease=60)
    world.person.delete_task(task)

    async def another_read_it_before() -> None:
        world.clock.advance(61)
        others = await world.state.claim(limit=9, lease=60)
        await world.state.settle([Settlement(claim, Outcome.DONE) for claim in others])

    with pytest.raises(Conflict):
        await collect(replace(world.dataset, state=Sleeper(world.state, "stage", another_read_it_before)), claims)
    assert (await record_of(world)).state is TaskState.ACTIVE
    await come_to_rest(world)
    assert (await record_of(world)).state is TaskState.DISCARDED
    assert answer not in await world.rows()


async def test_an_import_is_not_sent_by_who_lost_its_claim() -> None:
    world = await World().open()
    await world.put("a.jpg")
    claims = await world.state.claim(limit=9, lease=60)

    async def others_go_on() -> None:
        world.clock.advance(61)
        await world.work()

    with pytest.raises(Conflict, match="claims were lost"):
        await ingest(replace(world.dataset, state=Sleeper(world.state, "intend", others_go_on)), claims)
    assert (len(world.tasks()["a.jpg"]), world.faulty.imports) == (1, 1)


async def test_an_import_recorded_late_brings_no_task_back_that_others_took_away() -> None:
    world = await World(on_delete="retire").open()
    await world.put("a.jpg")
    claims = await world.state.claim(limit=9, lease=60)

    async def others_go_on() -> None:
        world.clock.advance(61)
        await world.delete("a.jpg")
        await world.work(seconds=5)
        assert world.tasks() == {}

    await ingest(replace(world.dataset, state=Sleeper(world.state, "fulfil", others_go_on)), claims)
    assert (await record_of(world)).state is TaskState.REMOVED
    await world.put("a.jpg")
    await world.work()
    await come_to_rest(world)
    assert len(world.tasks()["a.jpg"]) == 1


@pytest.mark.parametrize("worked_on", [False, True])
@pytest.mark.parametrize("asleep_at", ["amend", "retire", "retire's answer"])
async def test_a_retirement_that_comes_too_late_ends_with_the_task_in_work(asleep_at: str, worked_on: bool) -> None:
    """The object comes back while one that saw it gone sleeps."""
    world = await World(on_delete="retire").open()
    await world.put("a.jpg")
    await world.work()
    if worked_on:
        world.person.submit(world.task("a.jpg"), CAT)
    await world.delete("a.jpg")
    claims = await world.state.claim(limit=9, lease=60)

    async def others_go_on() -> None:
        world.clock.advance(61)
        await world.work()
        await world.put("a.jpg")
        await world.work(seconds=5)

    sleeping = replace(world.dataset)
    if asleep_at == "amend":
        sleeping.state = Sleeper(world.state, "amend", others_go_on)
        with pytest.raises(Conflict):
            await ingest(sleeping, claims)
    else:
        remote = Sleeper(await world.dataset.remote(), "retire", others_go_on, after=asleep_at != "retire")
        sleeping._remote = remote
        await world.state.settle(await ingest(sleeping, claims))
    await come_to_rest(world)
    (there,) = [task for task in world.person.work.values() if task.retired is None]
    assert str(there.id) == (await record_of(world)).task_id
    assert (await record_of(world)).state is TaskState.ACTIVE


@pytest.mark.parametrize("worked_on", [False, True])
async def test_a_retirement_whose_answer_was_lost_is_known_when_the_object_comes_back(worked_on: bool) -> None:
    world = await World(on_delete="retire").open()
    seen = await world.put("a.jpg")
    await world.work()
    if worked_on:
        world.person.submit(world.task("a.jpg"), CAT)
    ref, _ = A, world.store.delete("a.jpg")

    async def lost() -> None:
        world.store._objects["a.jpg"] = (b"x", seen.etag or "")  # the same bytes are back
        raise Retryable("the answer was lost")

    await world.saw(ref, await world.store.head("a.jpg"))
    claims = await world.state.claim(limit=9, lease=60)
    dataset = replace(world.dataset)
    dataset._remote = Sleeper(await world.dataset.remote(), "retire", lost, after=True)
    with pytest.raises(Retryable):
        await ingest(dataset, claims)
    assert (await record_of(world)).state is TaskState.IN_DOUBT
    world.clock.advance(61)
    await world.work(seconds=5)
    await come_to_rest(world)
    (there,) = world.person.work.values()
    assert (there.retired, (await record_of(world)).state) == (None, TaskState.ACTIVE)


async def test_a_death_right_after_a_retirement_leaves_no_row_that_calls_its_task_in_work() -> None:
    """The record and the mark that has the rows read again are one step."""
    world, _, answer = await world_with_an_answer()
    world.dataset = replace(world.dataset, policy=replace(world.dataset.policy, on_delete=OnDelete.RETIRE))

    async def dies() -> None:
        raise Retryable("it died here")

    await world.delete("a.jpg")
    claims = await world.state.claim(limit=9, lease=60)
    dying = Sleeper(Sleeper(world.state, "amend", _nothing), "mark", dies)
    await ingest(replace(world.dataset, state=dying), claims)
    await world.work(seconds=70)
    assert (await world.rows())[answer].retired


async def _nothing() -> None:
    """Happens."""


async def test_a_text_that_changes_and_changes_back_while_it_is_read_is_not_shown_as_another() -> None:
    world = await World(xml=TEXT).open()
    ref, seen = world.store.put("a.txt", b"one")

    async def changes() -> None:
        world.store._objects["a.txt"] = (b"two", "another")

    async def changes_back() -> None:
        world.store._objects["a.txt"] = (b"one", seen.etag or "")

    store = Sleeper(Sleeper(world.store, "get", changes), "head", changes_back)
    world.dataset = replace(world.dataset, stores={BUCKET: store})
    await world.saw(ref, seen)
    await world.work(seconds=30)
    (task,) = world.person.work.values()
    assert (task.new.data["text"], task.new.meta["syncd"]["etag"]) == ("one", seen.etag)


@pytest.mark.parametrize("worked_on", [False, True])
@pytest.mark.parametrize("then", ["there", "overwritten", "gone"])
@pytest.mark.parametrize("on_change", ["new-task", "replace", "ignore"])
async def test_a_task_that_comes_after_its_import_was_given_up_is_taken_in(
    on_change: str, then: str, worked_on: bool
) -> None:
    world = await World(on_change=on_change, on_delete="retire").open()
    world.faulty.faults = ["late"]
    await world.put("a.jpg", lost=True)
    await world.saw(A, await world.store.head("a.jpg"))
    await world.work()
    if then != "there":
        await (world.put if then == "overwritten" else world.delete)("a.jpg")
    await world.work(seconds=200)
    (marker, tasks), late = world.faulty.late[0], world.faulty.late
    late.clear()
    (id_,) = await world.person.import_tasks(marker, tasks)
    if worked_on:
        world.person.submit(id_, CAT)
        await world.webhook(id_)
    await come_to_rest(world)
    await come_to_rest(world)
    in_work = [task for task in world.person.work.values() if task.retired is None]
    assert len(in_work) == (0 if then == "gone" else 1)
    records = (await world.state.records(NAME, [A]))[A]
    assert [str(task.id) for task in in_work] == [r.task_id for r in records if r.state is TaskState.ACTIVE]
    assert (id_ in world.person.work) == worked_on, "what somebody did is kept"
    again = await reconcile_tasks(world.dataset, Caution())
    assert again.orphaned == 0


@pytest.mark.parametrize("flag", [None, "by hand"])
async def test_a_task_whose_flag_says_otherwise_than_our_record_is_decided_anew(flag: str | None) -> None:
    """As one that slept between its last look and its call leaves it, or a person who takes the flag away."""
    world, task, answer = await world_with_an_answer()
    if flag is None:
        world.dataset = replace(world.dataset, policy=replace(world.dataset.policy, on_delete=OnDelete.RETIRE))
        await world.delete("a.jpg")
        await world.work(seconds=70)
        assert (await world.rows())[answer].retired
    world.person.work[task].retired = flag
    await come_to_rest(world)
    await come_to_rest(world)
    assert (world.person.work[task].retired is None) == (flag is not None)
    assert (await world.rows())[answer].retired == (flag is None)
