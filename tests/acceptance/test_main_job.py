"""The main job, with the real program, the real Label Studio and real files."""

import random
from collections.abc import Callable

from syncd.domain.splits import Splits
from tests.acceptance.site import Site, choice, picture, until
from tests.label_studio import LabelStudioServer


def test_300_files_in_one_second_become_300_tasks_each_once_and_people_see_the_pictures(site: Site) -> None:
    site.start()
    names = [f"day {n % 3}/photo {n:03} é#%.jpg" for n in range(300)]
    site.drop(names)
    until("300 tasks", lambda: len(site.images()) >= 300)
    tasks = site.tasks()
    assert len({task["data"]["image"] for task in tasks}) == len(tasks) == 300
    for task in random.Random(1).sample(tasks, 10):
        shown = site.person.fetch(task["data"]["image"])
        assert shown.status_code == 200
        assert shown.content[:3] == b"\xff\xd8\xff", "not the JPEG that was dropped"


def test_submitted_annotations_become_rows_with_their_lineage(site: Site) -> None:
    site.start()
    site.drop(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    tasks = site.settled_tasks(4)
    by_name = {task["data"]["image"].rsplit("/", 1)[-1]: task["id"] for task in tasks}
    site.person.submit(by_name["a.jpg"], choice("cat"), lead_time=2.5)
    site.person.submit(by_name["a.jpg"], choice("dog"))
    site.person.submit(by_name["b.jpg"], [], skip=True)
    site.person.submit(by_name["c.jpg"], choice("unicorn"))
    site.person.draft(by_name["d.jpg"], choice("cat"))
    until("2 good rows", lambda: len(site.rows()) == 2)
    rows = site.rows()
    assert {row["key"] for row in rows} == {"a.jpg"}
    assert sorted(row["labels"] for row in rows) == [["cat"], ["dog"]]
    assert all(row["etag"] and row["label_config_hash"] and row["object_uri"] for row in rows)
    assert any(row["lead_time"] == 2.5 for row in rows)
    (skipped,) = until("the skip", lambda: site.rows(status="skipped"))
    assert skipped["key"] == "b.jpg"
    (invalid,) = until("the invalid one", lambda: site.rows(status="invalid"))
    assert "unicorn" in invalid["invalid_reason"]


def test_a_correction_makes_the_next_version_and_the_first_stays_as_it_was(site: Site) -> None:
    site.start()
    site.drop(["a.jpg"])
    (task,) = until("1 task", site.tasks)
    annotation = site.person.submit(task["id"], choice("cat"))
    until("v1", lambda: len(site.rows("latest")) == 1)
    site.person.correct(annotation, choice("dog"))
    until("the corrected row", lambda: site.rows("latest")[0]["labels"] == ["dog"])
    assert site.rows("v1")[0]["labels"] == ["cat"]
    diff = site.json("snapshot", "diff", "photos", "v1", "v2")
    (updated,) = diff["updated"]
    assert updated["annotation_id"] == str(annotation)
    assert (updated["labels_added"], updated["labels_removed"]) == (["dog"], ["cat"])
    assert (diff["before"]["labels"], diff["after"]["labels"]) == ({"cat": 1}, {"dog": 1})
    assert diff["after"]["splits"] == {Splits().hashed(updated["key"]): 1}
    assert [v["version"] for v in site.json("snapshot", "list", "photos")] == ["v1", "v2"]


def test_a_lost_webhook_is_found_by_reconcile(site: Site) -> None:
    daemon = site.start()
    site.drop(["a.jpg", "b.jpg"])
    tasks = site.settled_tasks(2)
    until("webhook", lambda: "webhook.registered" in site.log())
    assert site.stop(daemon) == 0
    site.person.submit(tasks[0]["id"], choice("cat"))  # nobody listens: this webhook is lost for good
    site.start()
    until("the row", lambda: len(site.rows()) == 1)


def test_policies_for_overwritten_moved_and_deleted_files(
    make_site: Callable[..., Site], label_studio: LabelStudioServer
) -> None:
    site = make_site(label_studio, on_change="replace", on_delete="retire")
    site.start()
    site.drop(["keep.jpg", "overwritten.jpg", "moved.jpg", "deleted.jpg", "worked.jpg"])
    tasks = site.settled_tasks(5)
    by_name = {task["data"]["image"].rsplit("/", 1)[-1]: task["id"] for task in tasks}
    site.person.submit(by_name["worked.jpg"], choice("cat"))
    until("the row", lambda: len(site.rows()) == 1)
    picture(site.folder / "overwritten.jpg", 99)
    (site.folder / "moved.jpg").rename(site.folder / "elsewhere.jpg")
    (site.folder / "deleted.jpg").unlink()
    (site.folder / "worked.jpg").unlink()
    expected = ["elsewhere.jpg", "keep.jpg", "overwritten.jpg", "worked.jpg"]
    until("the new task", lambda: by_name["overwritten.jpg"] not in [task["id"] for task in site.tasks()])
    until("the policy's result", lambda: site.images() == expected)
    after = {task["data"]["image"].rsplit("/", 1)[-1]: task for task in site.tasks()}
    assert after["keep.jpg"]["id"] == by_name["keep.jpg"]
    assert after["worked.jpg"]["id"] == by_name["worked.jpg"], "human work is never deleted"
    until("the flag", lambda: any("syncd_retired" in task["data"] for task in site.tasks()))
    until("the row says so", lambda: site.rows()[0]["retired"])


def test_by_default_a_changed_file_gets_a_new_task_and_a_deleted_one_keeps_its(site: Site) -> None:
    site.start()
    site.drop(["changed.jpg", "deleted.jpg"])
    until("2 tasks", lambda: len(site.tasks()) == 2)
    picture(site.folder / "changed.jpg", 99)
    (site.folder / "deleted.jpg").unlink()
    until("3 tasks", lambda: site.images() == ["changed.jpg", "changed.jpg", "deleted.jpg"])
    settled = lambda: all(row["waiting"] == 0 for row in site.json("status"))  # noqa: E731
    until("nothing waits", settled)
    assert len(site.tasks()) == 3


def test_files_that_were_there_before_the_daemon_get_their_tasks_too(site: Site) -> None:
    site.drop(["early.jpg", "sub/dir/early too.jpg", ".hidden.jpg", "unfinished.part"])
    site.start()
    until("2 tasks", lambda: site.images() == ["early.jpg", "sub/dir/early%20too.jpg"])
