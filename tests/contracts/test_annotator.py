"""The contract of the annotator port: the reference in memory, and a real Label Studio."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from syncd.annotators.label_studio import LabelStudio, LabelStudioOptions
from syncd.annotators.memory import MemoryAnnotator
from syncd.domain.errors import ConfigError, Rejected
from syncd.domain.model import NewTask, ObjectRef, RowStatus, TaskState
from syncd.ports import Annotator, AnnotatorDataset, DatasetSpec, TaskHeader
from syncd.secrets import SecretRef
from tests.annotators.person import Person, annotation, choice, prediction
from tests.clock import FakeClock
from tests.known_secrets import HUSH

CONFIG = """
<View>
  <Image name="image" value="$image"/>
  <Choices name="choice" toName="image"><Choice value="cat"/><Choice value="dog"/></Choices>
</View>
"""
OTHER_CONFIG = CONFIG.replace("dog", "bird")
WEBHOOK = "http://127.0.0.1:9/webhook"


@dataclass
class Bench:
    """One annotator, a person to work in it, and fresh titles."""

    annotator: Annotator
    person: Callable[[AnnotatorDataset], Any]
    titles: Iterator[str]

    def spec(self, label_config: str = CONFIG, **changes: Any) -> DatasetSpec:
        return replace(DatasetSpec("pets", next(self.titles), label_config), **changes)

    async def dataset(self) -> AnnotatorDataset:
        return await self.annotator.ensure_dataset(self.spec())


@pytest.fixture(params=["memory", "label-studio"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    titles = (f"contract {uuid4().hex[:8]} {n}" for n in count())
    if request.param == "memory":
        yield Bench(MemoryAnnotator(FakeClock()), lambda dataset: dataset, titles)
        return
    server = request.getfixturevalue("label_studio")
    secret = tmp_path / "token"
    secret.write_text(server.pat)
    options = LabelStudioOptions(url=server.url, token=SecretRef(file=secret))
    annotator = LabelStudio(options, clock=FakeClock())
    with Person.admin(server) as admin:
        yield Bench(annotator, lambda dataset: admin, titles)
    await annotator.close()


def tasks(*keys: str) -> list[NewTask]:
    return [NewTask(key, {"image": f"s3://pets/{key}.jpg"}, {"etag": f"e-{key}"}) for key in keys]


async def changed(dataset: AnnotatorDataset, cursor: str | None = None) -> tuple[list[str], str | None]:
    ids: list[str] = []
    async for page in dataset.changed(cursor):
        ids += page.task_ids
        cursor = page.cursor
    return ids, cursor


async def headers(dataset: AnnotatorDataset) -> list[tuple[str, str | None]]:
    return [(header.task_id, header.task_key) async for page in dataset.tasks() for header in page]


# ---------------------------------------------------------------- the annotator


async def test_ping_says_who_answers(bench: Bench) -> None:
    info = await bench.annotator.ping()
    assert info.url
    assert info.version
    assert info.user


async def test_close_is_idempotent(bench: Bench) -> None:
    await bench.annotator.close()
    await bench.annotator.close()


async def test_a_dataset_is_made_once_and_found_again(bench: Bench) -> None:
    spec = bench.spec()
    first = await bench.annotator.ensure_dataset(spec)
    second = await bench.annotator.ensure_dataset(spec)
    found = await bench.annotator.find_dataset(spec.title)
    assert found
    assert first.url == second.url == found.url
    assert first.drift == ""


async def test_a_dataset_is_found_by_its_whole_title_only(bench: Bench) -> None:
    spec = bench.spec()
    await bench.annotator.ensure_dataset(spec)
    assert await bench.annotator.find_dataset(spec.title[:-1]) is None
    assert await bench.annotator.find_dataset(spec.title.upper()) is None


async def test_layout_and_comments_of_the_label_config_are_no_drift(bench: Bench) -> None:
    spec = bench.spec()
    await bench.annotator.ensure_dataset(spec)
    other = CONFIG.replace("\n", "").replace('name="image" value="$image"', "value='$image'  name='image'")
    same = await bench.annotator.ensure_dataset(replace(spec, label_config=f"<!-- v2 -->{other}"))
    assert same.drift == ""


async def test_drift_is_told_where_the_spec_says_warn(bench: Bench) -> None:
    spec = bench.spec()
    await bench.annotator.ensure_dataset(spec)
    for _ in range(2):
        drifted = await bench.annotator.ensure_dataset(replace(spec, label_config=OTHER_CONFIG, on_drift="warn"))
        assert drifted.drift
        assert "\n" not in drifted.drift


async def test_drift_is_an_error_where_the_spec_says_refuse(bench: Bench) -> None:
    spec = bench.spec()
    await bench.annotator.ensure_dataset(spec)
    with pytest.raises(ConfigError, match="label_config"):
        await bench.annotator.ensure_dataset(replace(spec, label_config=OTHER_CONFIG, on_drift="refuse"))


async def test_drift_is_mended_where_the_spec_says_update(bench: Bench) -> None:
    spec = bench.spec()
    await bench.annotator.ensure_dataset(spec)
    updated = await bench.annotator.ensure_dataset(replace(spec, label_config=OTHER_CONFIG, on_drift="update"))
    assert updated.drift == ""
    again = await bench.annotator.ensure_dataset(replace(spec, label_config=OTHER_CONFIG, on_drift="refuse"))
    assert again.drift == ""


@pytest.mark.parametrize("config", ["<View><Image", '<View><Header value="no data"/></View>'])
async def test_a_label_config_that_cannot_work_is_an_error_and_makes_nothing(bench: Bench, config: str) -> None:
    spec = bench.spec(config)
    with pytest.raises(ConfigError, match="label_config"):
        await bench.annotator.ensure_dataset(spec)
    assert await bench.annotator.find_dataset(spec.title) is None


async def test_task_data_links_to_the_object(bench: Bench) -> None:
    dataset = await bench.dataset()
    assert not dataset.inline_text
    assert dataset.task_data(ObjectRef("s3://pets", "a b/ü#1.jpg"), None) == {"image": "s3://pets/a b/ü#1.jpg"}
    assert dataset.link(ObjectRef("s3://pets", "a b/ü#1.jpg")) == "s3://pets/a b/ü#1.jpg"


async def test_task_data_carries_text_where_the_label_config_shows_text(bench: Bench) -> None:
    config = CONFIG.replace('<Image name="image" value="$image"/>', '<Text name="image" value="$body"/>')
    dataset = await bench.annotator.ensure_dataset(bench.spec(config))
    assert dataset.inline_text
    assert dataset.task_data(ObjectRef("s3://pets", "a.txt"), "Grüße\n") == {"body": "Grüße\n"}


PAIR = CONFIG.replace("<Choices", '<Text name="second" value="$caption"/><Choices')
RANKING = '<View><List name="list" value="$items"/><Ranker name="rank" toName="list"/></View>'
ITEMS = [{"id": "a", "title": "one"}, {"id": "b", "title": "two"}]


@pytest.mark.parametrize(
    ("config", "text", "data"),
    [
        (
            PAIR,
            '{"caption": "a cät", "image": "s3://pets/a.jpg", "more": {"pages": 2}}',
            {"caption": "a cät", "image": "s3://pets/a.jpg", "more": {"pages": 2}},
        ),
        (RANKING, '[{"id": "a", "title": "one"}, {"id": "b", "title": "two"}]', {"items": ITEMS}),
        (RANKING, '{"items": [], "prompt": "which?"}', {"items": [], "prompt": "which?"}),
        (
            CONFIG.replace("$image", "$pages[0]"),
            '{"pages": ["s3://pets/a.jpg", "s3://pets/b.jpg"]}',
            {"pages": ["s3://pets/a.jpg", "s3://pets/b.jpg"]},
        ),
    ],
    ids=["several variables", "a list", "a list inside", "an item of a list"],
)
async def test_task_data_of_several_variables_or_lists_come_from_json(
    bench: Bench, config: str, text: str, data: dict[str, Any]
) -> None:
    dataset = await bench.annotator.ensure_dataset(bench.spec(config))
    assert dataset.inline_text
    assert dataset.task_data(ObjectRef("s3://pets", "a.json"), text) == data
    (task_id,) = await dataset.import_tasks("m1", [NewTask("a", data, {})])
    (content,) = await dataset.contents([task_id])
    assert content.data == data


async def test_json_that_lacks_a_variable_is_rejected_by_its_name(bench: Bench) -> None:
    dataset = await bench.annotator.ensure_dataset(bench.spec(PAIR))
    with pytest.raises(Rejected, match="lacks 'caption'"):
        dataset.task_data(ObjectRef("s3://pets", "a.json"), '{"image": "s3://pets/a.jpg"}')


async def test_deleting_a_dataset_is_idempotent(bench: Bench) -> None:
    spec = bench.spec()
    dataset = await bench.annotator.ensure_dataset(spec)
    await dataset.import_tasks("m1", tasks("a"))
    await dataset.delete()
    await dataset.delete()
    assert await bench.annotator.find_dataset(spec.title) is None


# ---------------------------------------------------------------- tasks


async def test_import_returns_ids_in_order(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("c", "a", "b"))
    found = await dataset.contents(ids)
    assert {content.task_id: content.task_key for content in found} == dict(zip(ids, "cab", strict=True))


async def test_an_import_of_nothing_makes_nothing(bench: Bench) -> None:
    dataset = await bench.dataset()
    assert await dataset.import_tasks("m1", []) == []
    assert await headers(dataset) == []


async def test_a_rejected_import_names_the_bad_items_and_makes_nothing(bench: Bench) -> None:
    dataset = await bench.dataset()
    batch = tasks("a", "b", "c", "d")
    batch[1] = replace(batch[1], data={"secret-word": "x"})
    batch[3] = replace(batch[3], data={"secret-word": "x"})
    with pytest.raises(Rejected) as caught:
        await dataset.import_tasks("m1", batch)
    assert sorted(caught.value.problems) == [1, 3]
    assert "image" in caught.value.problems[1]
    assert "secret-word" not in f"{caught.value} {caught.value.problems}"
    assert await headers(dataset) == []


async def test_tasks_are_found_by_their_marker(bench: Bench) -> None:
    dataset = await bench.dataset()
    first = await dataset.import_tasks("m1", tasks("a", "b"))
    await dataset.import_tasks("m2", tasks("c"))
    assert await dataset.find_by_marker("m1") == {"a": first[0], "b": first[1]}
    assert await dataset.find_by_marker("m3") == {}


async def test_a_marker_of_another_dataset_is_not_found(bench: Bench) -> None:
    dataset, other = await bench.dataset(), await bench.dataset()
    await dataset.import_tasks("m1", tasks("a"))
    assert await other.find_by_marker("m1") == {}


async def test_the_same_tasks_twice_are_twice_the_tasks_and_the_marker_finds_the_older(bench: Bench) -> None:
    dataset = await bench.dataset()
    first = await dataset.import_tasks("m1", tasks("a"))
    second = await dataset.import_tasks("m1", tasks("a"))
    assert [task_id for task_id, _ in await headers(dataset)] == first + second
    assert await dataset.find_by_marker("m1") == {"a": first[0]}


async def test_all_tasks_are_listed_in_the_order_of_numeric_ids(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks(*(f"k{n}" for n in range(120))))
    assert await headers(dataset) == [(id_, f"k{n}") for n, id_ in enumerate(ids)]
    assert sorted(ids, key=int) == ids


# ---------------------------------------------------------------- answers


async def test_contents_hold_submitted_skipped_and_unsubmitted_answers(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    person = bench.person(dataset)
    submitted, skipped = person.submit(task_id, choice("cat")), person.skip(task_id)
    draft = person.draft(task_id, choice("dog"))
    (content,) = await dataset.contents([task_id])
    answers = {answer.id: answer for answer in content.annotations}
    assert {id_: answer.status for id_, answer in answers.items()} == {
        submitted: RowStatus.SUBMITTED,
        skipped: RowStatus.SKIPPED,
        draft: RowStatus.DRAFT,
    }
    assert draft.startswith("draft-")
    assert answers[submitted].result == choice("cat")
    assert answers[skipped].result == []
    assert answers[draft].result == choice("dog")
    assert all(answer.annotator and answer.created_at and answer.updated_at for answer in answers.values())
    assert {answer.task_id for answer in answers.values()} == {task_id}


async def test_contents_hold_the_task_data_as_imported(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    (content,) = await dataset.contents([task_id])
    assert content.data == {"image": "s3://pets/a.jpg"}
    assert content.task_key == "a"


async def test_contents_leave_out_absent_tasks(bench: Bench) -> None:
    dataset, other = await bench.dataset(), await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    (foreign,) = await other.import_tasks("m2", tasks("c"))
    bench.person(dataset).delete_task(ids[0])
    asked = [*ids, ids[1], foreign, "987654321"]
    assert [content.task_id for content in await dataset.contents(asked)] == [ids[1]]
    assert await dataset.contents([]) == []


async def test_contents_follow_corrections_and_deletions(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    person = bench.person(dataset)
    kept, deleted = person.submit(task_id, choice("cat")), person.submit(task_id, choice("cat"))
    person.update_annotation(kept, choice("dog"))
    person.delete_annotation(deleted)
    (content,) = await dataset.contents([task_id])
    assert [(answer.id, answer.result) for answer in content.annotations] == [(kept, choice("dog"))]


async def test_contents_of_several_hundred_tasks_are_complete(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks(*(f"k{n}" for n in range(320))))
    assert sorted(content.task_id for content in await dataset.contents(ids)) == sorted(ids)


# ---------------------------------------------------------------- changes


async def test_nothing_has_changed_in_an_empty_dataset(bench: Bench) -> None:
    assert await changed(await bench.dataset()) == ([], None)


async def test_changed_since_ever_is_all_tasks_oldest_change_first(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b", "c"))
    bench.person(dataset).submit(ids[0], choice("cat"))
    assert (await changed(dataset))[0] == [ids[1], ids[2], ids[0]]


@pytest.mark.parametrize("change", ["submit", "skip", "correct", "delete"])
async def test_every_change_to_annotations_is_seen_behind_the_cursor(bench: Bench, change: str) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    person = bench.person(dataset)
    annotation = person.submit(ids[0], choice("cat"))
    _, cursor = await changed(dataset)
    {
        "submit": lambda: person.submit(ids[0], choice("dog")),
        "skip": lambda: person.skip(ids[0]),
        "correct": lambda: person.update_annotation(annotation, choice("dog")),
        "delete": lambda: person.delete_annotation(annotation),
    }[change]()
    found, moved = await changed(dataset, cursor)
    assert found[-1] == ids[0]
    assert moved


async def test_a_cursor_may_be_used_again(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a"))
    _, cursor = await changed(dataset)
    later = await dataset.import_tasks("m2", tasks("b"))
    (first, _), (second, _) = await changed(dataset, cursor), await changed(dataset, cursor)
    assert first == second
    assert set(later) <= set(first) <= {*ids, *later}


async def test_a_listing_of_changes_ends_though_every_page_brings_new_ones(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    person, pages = bench.person(dataset), 0
    async for page in dataset.changed(None):
        pages += 1
        assert pages < 5
        person.submit(page.task_ids[0], choice("cat"))
    assert pages
    assert set((await changed(dataset))[0]) == set(ids)


# ---------------------------------------------------------------- retiring


async def test_an_untouched_task_is_deleted_when_retired(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    for _ in range(2):
        assert await dataset.retire([TaskHeader(ids[0], "a")], "object deleted") == [TaskState.REMOVED]
    assert await headers(dataset) == [(ids[1], "b")]


@pytest.mark.parametrize("work", ["submit", "skip", "draft"])
async def test_a_task_with_human_work_is_kept_when_retired(bench: Bench, work: str) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    person = bench.person(dataset)
    answer = person.skip(task_id) if work == "skip" else getattr(person, work)(task_id, choice("cat"))
    for _ in range(2):
        assert await dataset.retire([TaskHeader(task_id, "a")], "object deleted") == [TaskState.RETIRED]
    assert [header async for page in dataset.tasks() for header in page] == [TaskHeader(task_id, "a", retired=True)]
    (content,) = await dataset.contents([task_id])
    assert [annotation.id for annotation in content.annotations] == [answer]
    assert content.data == {"image": "s3://pets/a.jpg"}


async def test_an_absent_task_counts_as_removed_when_retired(bench: Bench) -> None:
    dataset = await bench.dataset()
    absent = [TaskHeader("987654321", "a"), TaskHeader("987654322", None)]
    assert await dataset.retire(absent, "object deleted") == [TaskState.REMOVED] * 2


async def test_retiring_nothing_does_nothing(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a"))
    assert await dataset.retire([], "object deleted") == []
    assert await headers(dataset) == [(ids[0], "a")]


async def test_states_come_in_the_order_given_when_retired(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b", "c"))
    bench.person(dataset).submit(ids[1], choice("cat"))
    wanted = [TaskHeader(ids[2], "c"), TaskHeader(ids[1], "b"), TaskHeader(ids[1], "other"), TaskHeader(ids[0], "a")]
    states = await dataset.retire(wanted, "object deleted")
    assert states == [TaskState.REMOVED, TaskState.RETIRED, TaskState.REMOVED, TaskState.REMOVED]
    assert await headers(dataset) == [(ids[1], "b")]


async def test_several_hundred_tasks_are_retired_at_once(bench: Bench) -> None:
    dataset = await bench.dataset()
    keys = [f"k{n}" for n in range(320)]
    ids = await dataset.import_tasks("m1", tasks(*keys, "kept"))
    wanted = [TaskHeader(task_id, key) for task_id, key in zip(ids, keys, strict=False)]
    assert await dataset.retire(wanted, "object deleted") == [TaskState.REMOVED] * 320
    assert await headers(dataset) == [(ids[-1], "kept")]


async def test_an_id_given_away_again_is_not_deleted_when_its_former_task_is_retired(bench: Bench) -> None:
    dataset, other = await bench.dataset(), await bench.dataset()
    (old,) = await dataset.import_tasks("m1", tasks("a"))
    bench.person(dataset).delete_task(old)
    for into, key in ((dataset, "b"), (other, "c")):
        assert await into.import_tasks("m2", tasks(key)) == [old]
        assert await dataset.retire([TaskHeader(old, "a")], "object deleted") == [TaskState.REMOVED]
        assert await headers(into) == [(old, key)]
        bench.person(into).delete_task(old)


async def test_a_task_with_another_key_keeps_its_answers_when_retired(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    bench.person(dataset).submit(task_id, choice("cat"))
    assert await dataset.retire([TaskHeader(task_id, "other")], "object deleted") == [TaskState.REMOVED]
    await dataset.restore([TaskHeader(task_id, "other")])
    (content,) = await dataset.contents([task_id])
    assert len(content.annotations) == 1


async def test_without_a_key_whatever_has_the_id_is_retired_and_restored(bench: Bench) -> None:
    dataset = await bench.dataset()
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    bench.person(dataset).submit(ids[1], choice("cat"))
    wanted = [TaskHeader(task_id, None) for task_id in ids]
    assert await dataset.retire(wanted, "made twice") == [TaskState.REMOVED, TaskState.RETIRED]
    await dataset.restore(wanted)
    assert await headers(dataset) == [(ids[1], "b")]


async def test_retired_tasks_are_restored_and_absent_ones_passed_over(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    bench.person(dataset).submit(task_id, choice("cat"))
    await dataset.retire([TaskHeader(task_id, "a")], "object deleted")
    for _ in range(2):
        await dataset.restore([TaskHeader(task_id, "a"), TaskHeader("987654321", "b")])
    (content,) = await dataset.contents([task_id])
    assert content.data == {"image": "s3://pets/a.jpg"}
    assert len(content.annotations) == 1


# ---------------------------------------------------------------- the rest


async def test_ensure_webhook_is_idempotent(bench: Bench) -> None:
    dataset = await bench.dataset()
    for _ in range(2):
        assert (await dataset.ensure_webhook(WEBHOOK, HUSH)).registered


async def test_answers_that_come_with_new_tasks_are_theirs(bench: Bench) -> None:
    dataset = await bench.dataset()
    batch = tasks("a", "b")
    batch[0] = replace(batch[0], answers=(annotation("cat"), prediction("dog")))
    ids = await dataset.import_tasks("m1", batch)
    contents = {content.task_id: content for content in await dataset.contents(ids)}
    assert [a.result[0]["value"] for a in contents[ids[0]].annotations] == [{"choices": ["cat"]}]
    assert contents[ids[1]].annotations == ()
    stats = await dataset.stats()
    assert (stats.annotations, stats.predictions) == (1, 1)


async def test_answers_are_given_to_a_task_once_whatever_their_region_ids(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task,) = tasks("a")
    (task_id,) = await dataset.import_tasks("m1", [replace(task, answers=(annotation("cat"),))])
    header = TaskHeader(task_id, task.task_key)
    renamed = replace(annotation("cat"), result=({**choice("cat")[0], "id": "another"},))
    for _ in range(2):
        assert await dataset.give(header, [renamed, annotation("dog"), prediction("cat"), prediction("dog")])
    (content,) = await dataset.contents([task_id])
    assert sorted(a.result[0]["value"]["choices"][0] for a in content.annotations) == ["cat", "dog"]
    assert (await dataset.stats()).predictions == 2


async def test_a_task_that_is_gone_or_another_is_given_nothing(bench: Bench) -> None:
    dataset = await bench.dataset()
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    assert not await dataset.give(TaskHeader(task_id, "f" * 32), [annotation("cat")])
    assert not await dataset.give(TaskHeader("999999", "f" * 32), [annotation("cat")])
    assert (await dataset.stats()).annotations == 0


async def test_remove_webhook_is_idempotent(bench: Bench) -> None:
    dataset = await bench.dataset()
    await dataset.ensure_webhook(WEBHOOK, HUSH)
    for _ in range(2):
        await dataset.remove_webhook("/webhook")


async def test_stats_count_tasks_and_answers(bench: Bench) -> None:
    dataset = await bench.dataset()
    batch = tasks("a", "b", "c")
    batch[0] = replace(batch[0], answers=(prediction("cat"),))
    ids = await dataset.import_tasks("m1", batch)
    person = bench.person(dataset)
    person.submit(ids[0], choice("cat"))
    person.submit(ids[0], choice("dog"))
    person.skip(ids[1])
    stats = await dataset.stats()
    assert (stats.tasks, stats.labelled, stats.annotations) == (3, 1, 2)
    assert (stats.predictions, stats.skipped) == (1, 1)
