"""What all formats for images have in common: names, labels, and what is told of the rest."""

import json
from pathlib import Path

import syncd
from tests.exports.test_run import FITTING
from tests.exports.world import World, box, choice, region


async def test_images_whose_names_differ_behind_a_dot_alone_keep_their_own_files(world: World, tmp_path: Path) -> None:
    for number in (1, 2):
        image = world.image(f"{number}.png")
        (world.bucket / f"{number}.png").rename(world.bucket / f"frame.000000000{number}")
        world.add(str(number), {**image, **world.columns(f"frame.000000000{number}")}, box("car", 5, 5, number, 9))
    snapshot = await world.commit()
    for name, file in (("yolo", "labels/train/{}.txt"), ("voc", "Annotations/{}.xml"), ("masks", "masks/train/{}.png")):
        done = syncd.export_snapshot(snapshot, name, tmp_path / name)
        assert all((tmp_path / name / file.format(f"frame.000000000{number}")).is_file() for number in (1, 2))
        unread = {"an image whose name Ultralytics does not take for an image's": 2} if name == "yolo" else {}
        assert done.lost == unread


async def test_answers_to_an_older_label_config_are_written_too(everything: World, tmp_path: Path) -> None:
    """A label that another control has now, and points of a control that is gone."""
    everything.rows.clear()
    point = region("keypointlabels", "car", "old", x=25, y=25, width=0.5)
    everything.add("1", everything.image("1.jpg"), box("eye", 1, 1, 5, 5), point)
    snapshot = await everything.commit()
    for name in FITTING:
        done = syncd.export_snapshot(snapshot, name, tmp_path / name)
        assert done.lost == ({} if name == "coco" else {"a keypoint": 1})
    found = json.loads((tmp_path / "coco/annotations.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in found["categories"]}
    assert [names[one["category_id"]] for one in found["annotations"]] == ["eye", "old"]


async def test_what_is_said_of_the_whole_image_is_told(everything: World, tmp_path: Path) -> None:
    everything.rows.clear()
    bits = region("bitmasklabels", "tissue", "brush", imageDataURL="data:")
    everything.add("1", everything.image("1.jpg"), choice("indoor"), bits)
    snapshot = await everything.commit()
    for name in FITTING:
        done = syncd.export_snapshot(snapshot, name, tmp_path / name)
        assert done.lost == {"a choice about the whole image": 1, "an answer of type bitmasklabels": 1}
