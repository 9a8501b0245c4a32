"""Label Studio's own traps: titles, other people's drafts, stale counters, equal times of change."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from syncd.annotators.label_studio import LabelStudio, listing
from syncd.annotators.label_studio.dataset import LabelStudioDataset
from syncd.domain.errors import ConfigError
from syncd.domain.model import RowStatus, TaskState
from syncd.ports import Changed, DatasetSpec, TaskHeader
from tests.annotators.conftest import CONFIG, Connections, tasks
from tests.annotators.person import Person, choice, prediction
from tests.annotators.proxy import Forward, proxying
from tests.label_studio import LabelStudioServer

Spec = Callable[..., DatasetSpec]
PREDICTION = prediction("cat")


async def test_two_projects_of_one_title_are_an_error_that_names_them(
    annotator: LabelStudio, person: Person, new_spec: Spec
) -> None:
    spec = new_spec()
    ids = [person.post("/api/projects/", {"title": spec.title, "label_config": CONFIG})["id"] for _ in range(2)]
    with pytest.raises(ConfigError) as caught:
        await annotator.ensure_dataset(spec)
    assert all(str(id_) in str(caught.value) for id_ in ids)
    with pytest.raises(ConfigError):
        await annotator.find_dataset(spec.title)


async def test_a_project_behind_the_first_page_of_a_title_search_is_found(
    annotator: LabelStudio, person: Person, new_spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.annotators.label_studio.server._PAGE", 2)
    spec = new_spec()
    made = await annotator.ensure_dataset(spec)
    for number in range(4):
        person.post("/api/projects/", {"title": f"{spec.title} {number}", "label_config": CONFIG})
    found = await annotator.find_dataset(spec.title)
    assert found
    assert found.project == made.project


async def test_a_label_config_the_server_refuses_is_told_in_its_words(annotator: LabelStudio, new_spec: Spec) -> None:
    dangling = CONFIG.replace('toName="image"', 'toName="nowhere"')
    with pytest.raises(ConfigError, match="label_config") as caught:
        await annotator.ensure_dataset(new_spec(dangling))
    assert "nowhere" in str(caught.value)


@pytest.mark.parametrize("title", ["ab", "x" * 51, " padded ", ""])
async def test_a_title_the_server_would_not_keep_is_a_config_error(
    annotator: LabelStudio, new_spec: Spec, title: str
) -> None:
    with pytest.raises(ConfigError, match="title"):
        await annotator.ensure_dataset(replace(new_spec(), title=title))


async def test_drift_names_what_differs(annotator: LabelStudio, new_spec: Spec) -> None:
    spec = new_spec()
    await annotator.ensure_dataset(spec)
    drifted = await annotator.ensure_dataset(replace(spec, label_config=CONFIG.replace("dog", "bird")))
    assert "only here: choice=bird" in drifted.drift
    assert "only there: choice=dog" in drifted.drift


async def test_an_update_that_would_orphan_annotations_is_a_config_error(
    annotator: LabelStudio, person: Person, new_spec: Spec
) -> None:
    spec = new_spec()
    dataset = await annotator.ensure_dataset(spec)
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    person.submit(task_id, choice("dog"))
    renamed = CONFIG.replace('name="choice"', 'name="other"')
    with pytest.raises(ConfigError, match="label_config"):
        await annotator.ensure_dataset(replace(spec, label_config=renamed, on_drift="update"))


async def test_an_annotation_made_from_a_prediction_carries_it(dataset: LabelStudioDataset, person: Person) -> None:
    batch = tasks("a")
    (task_id,) = await dataset.import_tasks("m1", [replace(batch[0], answers=(PREDICTION,))])
    (prediction,) = person.get(f"/api/tasks/{task_id}/")["predictions"]
    body = {"result": choice("dog"), "parent_prediction": prediction["id"], "lead_time": 2.5, "ground_truth": True}
    person.post(f"/api/tasks/{task_id}/annotations/", body)
    (content,) = await dataset.contents([task_id])
    (annotation,) = content.annotations
    assert annotation.prediction_id == str(prediction["id"])
    assert annotation.prediction == choice("cat")
    assert annotation.model_version == "m@1"
    assert (annotation.lead_time, annotation.ground_truth) == (2.5, True)


async def test_drafts_of_other_people_are_read_and_leave_no_view_or_export_behind(
    dataset: LabelStudioDataset, label_studio: LabelStudioServer, person: Person
) -> None:
    ids = await dataset.import_tasks("m1", tasks("a", "b"))
    ours = person.draft(ids[0], choice("cat"))
    with Person.colleague(label_studio, f"draft-{dataset.project}@example.com") as colleague:
        theirs = colleague.draft(ids[0], choice("dog"))
    by_id = {content.task_id: content for content in await dataset.contents(ids)}
    drafts = {draft.id: draft for draft in by_id[ids[0]].annotations}
    assert drafts[theirs].result == choice("dog")
    assert drafts[theirs].annotator == f"draft-{dataset.project}@example.com"
    assert drafts[ours].result == choice("cat")
    assert {draft.status for draft in drafts.values()} == {RowStatus.DRAFT}
    assert by_id[ids[1]].annotations == ()
    assert person.get("/api/dm/views/", project=dataset.project) == []
    assert person.get(f"/api/projects/{dataset.project}/exports/") == []


async def test_a_task_on_which_another_person_has_a_draft_is_not_deleted(
    dataset: LabelStudioDataset, label_studio: LabelStudioServer
) -> None:
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    with Person.colleague(label_studio, f"retire-{dataset.project}@example.com") as colleague:
        colleague.draft(task_id, choice("dog"))
    assert await dataset.retire([TaskHeader(task_id, "a")], "gone") == [TaskState.RETIRED]


async def test_a_task_whose_counters_are_stale_is_not_deleted(dataset: LabelStudioDataset, person: Person) -> None:
    (task_id,) = await dataset.import_tasks("m1", [replace(tasks("a")[0], answers=(PREDICTION,))])
    action = f"/api/dm/actions?id=predictions_to_annotations&project={dataset.project}"
    person.post(action, {"selectedItems": {"all": True, "excluded": []}})
    assert await dataset.retire([TaskHeader(task_id, "a")], "gone") == [TaskState.RETIRED]


async def test_a_retired_task_shows_the_reason_and_loses_it_when_restored(
    dataset: LabelStudioDataset, person: Person
) -> None:
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    person.submit(task_id, choice("cat"))
    await dataset.retire([TaskHeader(task_id, "a")], "object deleted")
    assert person.get(f"/api/tasks/{task_id}/")["data"]["syncd_retired"] == "object deleted"
    await dataset.restore([TaskHeader(task_id, "a")])
    assert "syncd_retired" not in person.get(f"/api/tasks/{task_id}/")["data"]


async def test_a_task_with_another_key_is_neither_flagged_nor_restored(
    dataset: LabelStudioDataset, person: Person
) -> None:
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    person.submit(task_id, choice("cat"))
    await dataset.retire([TaskHeader(task_id, "other")], "object deleted")
    assert "syncd_retired" not in person.get(f"/api/tasks/{task_id}/")["data"]
    await dataset.retire([TaskHeader(task_id, "a")], "object deleted")
    await dataset.restore([TaskHeader(task_id, "other")])
    assert person.get(f"/api/tasks/{task_id}/")["data"]["syncd_retired"] == "object deleted"


async def test_a_task_of_others_is_retired_where_no_key_is_named(dataset: LabelStudioDataset, person: Person) -> None:
    body = [{"data": {"image": "x"}}, {"data": {"image": "y"}}]
    ids = person.post(f"/api/projects/{dataset.project}/import?return_task_ids=true", body)["task_ids"]
    states = await dataset.retire([TaskHeader(str(ids[0]), None), TaskHeader(str(ids[1]), "a")], "gone")
    assert states == [TaskState.REMOVED, TaskState.REMOVED]
    assert [header.task_id async for page in dataset.tasks() for header in page] == [str(ids[1])]


async def test_an_id_given_away_again_between_our_look_and_our_deletion_is_not_deleted(
    connect: Connections, label_studio: LabelStudioServer, person: Person, new_spec: Spec
) -> None:
    def give_away(task_id: str, project: int) -> None:
        person.delete_task(task_id)
        body = [{"data": {"image": "x", "syncd_key": "b"}}]
        made = person.post(f"/api/projects/{project}/import?return_task_ids=true", body)
        assert made["task_ids"] == [int(task_id)]

    async with proxying(label_studio.url) as proxy:
        dataset = await connect(proxy.url, label_studio.pat).ensure_dataset(new_spec())
        (old,) = await dataset.import_tasks("m1", tasks("a"))

        async def giving_away(request: object, forward: Forward) -> web.Response:
            await asyncio.to_thread(give_away, old, dataset.project)
            return await forward()

        proxy.faults.append(("POST /api/dm/actions", giving_away))
        assert await dataset.retire([TaskHeader(old, "a")], "gone") == [TaskState.REMOVED]
        assert not proxy.faults
        assert [header async for page in dataset.tasks() for header in page] == [TaskHeader(old, "b", retired=False)]


async def test_deleting_a_project_that_a_person_deleted_is_no_error(
    dataset: LabelStudioDataset, person: Person
) -> None:
    person.http.delete(f"/api/projects/{dataset.project}/").raise_for_status()
    await dataset.delete()


async def test_lineage_lies_in_the_meta_and_the_keys_flat_in_the_data(
    dataset: LabelStudioDataset, person: Person
) -> None:
    (task_id,) = await dataset.import_tasks("m1", tasks("a"))
    task = person.get(f"/api/tasks/{task_id}/", resolve_uri="false")
    assert task["meta"] == {"etag": "e-a"}
    assert task["data"] == {"image": "s3://pets/a.jpg", "syncd_key": "a", "syncd_batch": "m1"}


async def test_tasks_of_others_are_listed_without_a_key(dataset: LabelStudioDataset, person: Person) -> None:
    person.post(f"/api/projects/{dataset.project}/import", [{"data": {"image": "x", "syncd_key": 7}}])
    (page,) = [page async for page in dataset.tasks()]
    assert [header.task_key for header in page] == [None]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_pages_of_any_size_list_every_task_once(
    dataset: LabelStudioDataset, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    ids = await dataset.import_tasks("m1", tasks(*"abcdefg"))
    monkeypatch.setattr(listing, "PAGE_SIZE", size)
    assert [header.task_id async for page in dataset.tasks() for header in page] == ids
    assert list((await dataset.find_by_marker("m1")).values()) == ids
    assert {task_id async for page in dataset.changed(None) for task_id in page.task_ids} == set(ids)


async def test_tasks_deleted_while_listing_shift_no_others_out_of_sight(
    dataset: LabelStudioDataset, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await dataset.import_tasks("m1", tasks(*"abcdef"))
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    seen = []
    async for page in dataset.tasks():
        seen += [header.task_id for header in page]
        await asyncio.to_thread(person.delete_task, page[0].task_id)
    assert seen == ids


def set_times(server: LabelStudioServer, task_ids: Sequence[str], when: str) -> None:
    """Changes the tasks' times of change behind the server's back, as a commit that comes late would."""
    (database,) = server.local.home.rglob("label_studio.sqlite3")
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        rows = [(when, int(task_id)) for task_id in task_ids]
        connection.executemany("UPDATE task SET updated_at = ? WHERE id = ?", rows)


async def changes(dataset: LabelStudioDataset, cursor: str | None) -> list[Changed]:
    return [page async for page in dataset.changed(cursor)]


@pytest.mark.parametrize("tied", [slice(1, 9), slice(0, 9), slice(0, 10)])
async def test_more_tasks_changed_in_one_instant_than_fit_a_page_are_all_seen_behind_any_page(
    dataset: LabelStudioDataset, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch, tied: slice
) -> None:
    ids = await dataset.import_tasks("m1", tasks(*"abcdefghij"))
    set_times(label_studio, ids[tied], "2026-01-01 10:00:00")
    set_times(label_studio, ids[: tied.start], "2025-01-01 10:00:00")
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    seen: set[str] = set()
    for page in await changes(dataset, None):
        seen |= set(page.task_ids)
        later = {task_id for page in await changes(dataset, page.cursor) for task_id in page.task_ids}
        assert seen | later == set(ids)
    assert seen == set(ids)


async def test_a_bulk_update_of_more_tasks_than_fit_a_page_is_listed_once_and_ends(
    dataset: LabelStudioDataset, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await dataset.import_tasks("m1", tasks(*"abcdefg"))
    for task_id in ids:
        person.submit(task_id, choice("cat"))
    action = f"/api/dm/actions?id=delete_tasks_annotations&project={dataset.project}"
    person.post(action, {"selectedItems": {"all": True, "excluded": []}})
    assert len({task["updated_at"] for task in person.get("/api/tasks/", project=dataset.project)["tasks"]}) == 1
    monkeypatch.setattr(listing, "PAGE_SIZE", 2)
    async with asyncio.timeout(30):
        found = await changes(dataset, None)
    assert [page.task_ids for page in found] == [tuple(ids[start : start + 2]) for start in (0, 2, 4, 6)]


@pytest.mark.parametrize("page_size", [1000, 3, 2])
async def test_a_dataset_at_rest_reports_nothing_again(
    dataset: LabelStudioDataset, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    monkeypatch.setattr(listing, "PAGE_SIZE", page_size)
    ids = await dataset.import_tasks("m1", tasks(*"abc"))
    set_times(label_studio, ids, "2026-01-01 10:00:00")
    *_, page = await changes(dataset, None)
    assert page.cursor == "2026-01-01T10:00:00.000000Z"
    assert await changes(dataset, page.cursor) == []


async def test_a_cursor_from_a_clock_that_ran_ahead_is_given_up_with_a_warning(
    dataset: LabelStudioDataset, label_studio: LabelStudioServer
) -> None:
    ids = await dataset.import_tasks("m1", tasks(*"ab"))
    ahead = datetime.now(UTC) + timedelta(hours=1)
    set_times(label_studio, ids[:1], ahead.strftime("%Y-%m-%d %H:%M:%S.%f"))
    with capture_logs() as logs:
        (page,) = await changes(dataset, ahead.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert set(page.task_ids) == set(ids)
    assert page.cursor < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("cursor.ahead", "warning")]
    with capture_logs() as logs:
        assert ids[0] in {task_id for page in await changes(dataset, page.cursor) for task_id in page.task_ids}
    assert not logs


async def test_a_change_that_is_committed_late_is_seen(
    dataset: LabelStudioDataset, label_studio: LabelStudioServer
) -> None:
    ids = await dataset.import_tasks("m1", tasks(*"ab"))
    set_times(label_studio, ids[:1], "2026-01-01 10:00:00")
    (page,) = await changes(dataset, None)
    late = datetime.now(UTC) - timedelta(seconds=2)
    set_times(label_studio, ids[:1], late.strftime("%Y-%m-%d %H:%M:%S.%f"))
    assert ids[0] in {task_id for page in await changes(dataset, page.cursor) for task_id in page.task_ids}
