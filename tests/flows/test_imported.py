"""Answers from elsewhere reach the tasks of their objects: once each, whatever fails."""

import pytest

from syncd.domain.labels import label_config
from syncd.domain.model import IMPORTED, AnswerKind, ImportedAnswer, JsonObject, Kind, Mark, ObjectRef, Subject
from tests.flows.world import BUCKET, CAT, DOG, NAME, World


def answer(key: str, result: list[JsonObject] = CAT, *, prediction: bool = False) -> ImportedAnswer:
    ref = ObjectRef(BUCKET, key)
    if prediction:
        return ImportedAnswer(ref, AnswerKind.PREDICTION, tuple(result), "model-1")
    return ImportedAnswer(ref, AnswerKind.ANNOTATION, tuple(result))


async def bring(world: World, *answers: ImportedAnswer) -> int:
    """What `syncd import` does."""
    new = await world.state.want(NAME, answers)
    waiting = await world.state.wanted(NAME, [a.ref for a in answers])
    await world.state.mark([Mark(Subject(Kind.OBJECT, NAME, ref.id)) for ref in waiting])
    await world.work(seconds=5)
    await world.faulty.finish_late()
    await world.work(seconds=200)
    return new


@pytest.fixture
async def world() -> World:
    return await World().open()


async def test_an_object_without_a_task_gets_one_with_the_answer_in_it(world: World) -> None:
    await world.put("1.jpg", lost=True)
    assert await bring(world, answer("1.jpg"), answer("1.jpg", DOG, prediction=True)) == 2
    assert list(world.tasks()) == ["1.jpg"]
    (row,) = (await world.rows()).values()
    assert (row.key, row.labels) == ("1.jpg", ("cat",))
    assert (await world.person.stats()).predictions == 1
    assert await world.state.wanted_count(NAME) == 0


async def test_a_task_that_is_there_is_given_the_answer(world: World) -> None:
    await world.put("1.jpg")
    await world.work()
    await bring(world, answer("1.jpg"))
    assert len(world.tasks()["1.jpg"]) == 1
    assert [row.labels for row in (await world.rows()).values()] == [("cat",)]


async def test_the_same_import_again_gives_nothing_again(world: World) -> None:
    await world.put("1.jpg")
    for new in (1, 0, 0):
        assert await bring(world, answer("1.jpg")) == new
    assert (await world.person.stats()).annotations == 1
    (annotation,) = await world.rows()
    world.person.update_annotation(annotation, DOG)  # a person corrects it: the import does not come back
    assert await bring(world, answer("1.jpg")) == 0
    assert (await world.person.stats()).annotations == 1


async def test_an_answer_waits_for_its_object(world: World) -> None:
    await bring(world, answer("later.jpg"))
    assert world.tasks() == {}
    assert await world.state.wanted_count(NAME) == 1
    await world.put("later.jpg")
    await world.work(seconds=200)
    assert [row.labels for row in (await world.rows()).values()] == [("cat",)]
    assert await world.state.wanted_count(NAME) == 0


@pytest.mark.parametrize("fault", ["before", "after", "crash-before", "crash-after", "late"])
@pytest.mark.parametrize("there", [False, True], ids=["new task", "task is there"])
async def test_no_failure_loses_or_doubles_an_answer(world: World, fault: str, there: bool) -> None:
    await world.put("1.jpg", lost=not there)
    if there:
        await world.work()
    world.faulty.faults = [fault]
    world.faulty.give_faults = [fault]
    await bring(world, answer("1.jpg"))
    await world.reconcile()
    assert [row.labels for row in (await world.rows()).values()] == [("cat",)]
    assert (await world.person.stats()).annotations == 1


async def test_an_answer_outlives_the_task_that_a_person_deleted(world: World) -> None:
    await world.put("1.jpg")
    await world.work()
    world.person.delete_task(world.task("1.jpg"))
    await bring(world, answer("1.jpg"))
    assert await world.state.wanted_count(NAME) == 1
    await world.reconcile()
    await world.put("1.jpg", b"another")
    await world.work(seconds=200)
    assert [row.labels for row in (await world.rows()).values()] == [("cat",)]


async def test_an_object_that_is_gone_gets_its_answer_when_it_is_back() -> None:
    world = await World(on_delete="retire").open()
    await world.put("1.jpg")
    await world.work()
    world.person.submit(world.task("1.jpg"), DOG)
    await world.delete("1.jpg", lost=True)
    await bring(world, answer("1.jpg"))
    assert (await world.person.stats()).annotations == 1
    assert await world.state.wanted_count(NAME) == 1
    await world.put("1.jpg")
    await world.work(seconds=200)
    assert (await world.person.stats()).annotations == 2
    assert await world.state.wanted_count(NAME) == 0


async def test_texts_come_with_their_answers_and_are_read_like_any_object(text_world: World) -> None:
    ref = ObjectRef(f"{IMPORTED}reviews", "r1")
    positive = [{**CAT[0], "from_name": "choice", "to_name": "text"}]
    await bring(text_world, ImportedAnswer(ref, AnswerKind.ANNOTATION, tuple(positive), text="good"))
    (row,) = (await text_world.rows()).values()
    assert (row.bucket, row.key, row.data) == ("import://reviews", "r1", '{"text":"good"}')
    await text_world.reconcile()
    assert len(text_world.tasks()["r1"]) == 1


@pytest.fixture
async def text_world() -> World:
    return await World(xml=label_config("text-classification", ["cat", "dog"])).open()
