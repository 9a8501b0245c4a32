"""`syncd import`: annotation files of other tools become tasks with answers, once, with and without a daemon."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.site import Site, until
from tests.imports.files import lines
from tests.label_studio import LabelStudioServer, free_port


def coco(path: Path, *names: str, label: str = "cat") -> Path:
    """A COCO file with one box on each picture of a site."""
    images = [{"id": n, "file_name": name, "width": 32, "height": 32} for n, name in enumerate(names)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 8, 16, 12]} for n in range(len(names))]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": label}]}))
    return path


def boxes(site: Site) -> dict[str, tuple[str, ...]]:
    """Key → labels of the newest version's rows."""
    return {row["key"]: tuple(row["labels"]) for row in site.rows()}


def test_coco_boxes_become_annotations_and_rows_without_and_with_a_daemon(
    make_site: Callable[..., Site], label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    site = make_site(label_studio, task="object-detection")
    site.drop(["a/x.jpg", "b/x.jpg", "c.jpg"])
    first = coco(tmp_path / "first.json", "a/x.jpg", "missing.jpg")
    done = site.json("import", "photos", str(first), "--format", "coco")
    assert (done["new"], done["known"], done["waiting"], done["left_out"]) == (2, 0, 1, [])
    (task,) = site.tasks()
    assert [a["result"][0]["value"]["rectanglelabels"] for a in task["annotations"]] == [["cat"]]

    site.start()
    site.settled_tasks(3)
    second = coco(tmp_path / "second.json", "a/x.jpg", "b/x.jpg", "missing.jpg")
    done = site.json("import", "photos", str(second), "--format", "coco")
    assert (done["new"], done["known"]) == (1, 2)
    until("two rows", lambda: boxes(site) == {"a/x.jpg": ("cat",), "b/x.jpg": ("cat",)})
    site.drop(["missing.jpg"])
    until("what waited for its object", lambda: boxes(site).get("missing.jpg") == ("cat",))
    assert sorted(len(task["annotations"]) for task in site.tasks()) == [0, 1, 1, 1]
    (row,) = (row for row in site.rows() if row["key"] == "b/x.jpg")
    assert row["result"][0]["value"]["x"] == 12.5
    assert row["result"][0]["original_width"] == 32


def test_predictions_are_shown_to_people_and_make_no_rows(
    make_site: Callable[..., Site], label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    site = make_site(label_studio, task="object-detection")
    site.drop(["1.jpg"])
    file = coco(tmp_path / "yolo-v8.json", "1.jpg", label="dog")
    for new in (1, 0):
        done = site.json("import", "photos", str(file), "--format", "coco", "--as", "prediction")
        assert done["new"] == new
    (task,) = site.tasks()
    (prediction,) = task["predictions"]
    assert (prediction["model_version"], task["annotations"]) == ("yolo-v8", [])


def test_texts_of_a_table_become_tasks_with_their_classes(
    make_site: Callable[..., Site], label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    site = make_site(label_studio, task="text-classification", labels=["good", "bad"])
    file = lines(tmp_path / "reviews.csv", "id,text,label", "r1,Sehr schön,good", 'r2,"Well, no",bad', "r3,Hm,")
    site.start()
    for new in (3, 0):
        assert site.json("import", "photos", str(file), "--format", "csv")["new"] == new
    rows = until("all rows", lambda: site.rows() if len(site.rows()) == 3 else [])
    found: dict[str, Any] = {row["key"]: (row["bucket"], row["data"]["text"], row["labels"]) for row in rows}
    assert found["r1"] == ("import://reviews", "Sehr schön", ["good"])
    assert found["r2"] == ("import://reviews", "Well, no", ["bad"])
    assert len(site.tasks()) == 3


def test_what_cannot_be_imported_is_told_and_nothing_is_imported(site: Site, tmp_path: Path) -> None:
    file = lines(tmp_path / "x.csv", "file_name,label", "1.jpg,cat", "2.jpg,horse")
    site.drop(["1.jpg", "2.jpg"])
    refused = site.cli("import", "photos", str(file), "--format", "csv")
    assert refused.returncode == 1
    assert "1 cannot be imported; nothing was imported; mend them, or import the other 1 with --skip-invalid" in (
        refused.stderr
    )
    assert "x.csv:3: the label config has no label horse for a choice; it has: cat, dog" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = site.json("import", "photos", str(file), "--format", "csv", "--skip-invalid")
    assert (done["new"], len(done["left_out"])) == (1, 1)


def test_an_annotator_that_does_not_answer_fails_the_import_which_is_kept(site: Site, tmp_path: Path) -> None:
    file = lines(tmp_path / "x.csv", "file_name,label", "1.jpg,cat")
    site.drop(["1.jpg"])
    good = site.config.read_text()
    site.config.write_text(good.replace(site.studio.url, f"http://127.0.0.1:{free_port()}"))
    failed = site.cli("import", "photos", str(file), "--format", "csv")
    assert failed.returncode == 1
    assert "1 objects are not settled yet" in failed.stderr
    assert "repeat the import, or start the daemon" in failed.stderr
    site.config.write_text(good)
    done = site.json("import", "photos", str(file), "--format", "csv")
    assert (done["new"], done["known"], done["waiting"]) == (0, 1, 0)
    (task,) = site.tasks()
    assert len(task["annotations"]) == 1


def test_a_bucket_that_the_dataset_has_not_is_a_configuration_error(site: Site, tmp_path: Path) -> None:
    file = lines(tmp_path / "x.csv", "file_name,label", "1.jpg,cat")
    refused = site.cli("import", "photos", str(file), "--format", "csv", "--bucket", "s3://typo")
    assert refused.returncode == 78
    assert "--bucket: one of file://" in refused.stderr
