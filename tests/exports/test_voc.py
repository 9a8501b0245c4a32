"""Pascal VOC exports, read back with an XML parser as VOC's development kit describes them."""

from pathlib import Path

import pytest
from defusedxml import ElementTree as ET  # noqa: N817 - as the standard library is called

import syncd
from syncd.domain.errors import Rejected
from tests.exports.converter import converted
from tests.exports.world import BOXES, World, box, region

Corners = tuple[int, ...]


def load(folder: Path, image: str) -> list[tuple[str, Corners]]:
    root = ET.parse(folder / "Annotations" / f"{image}.xml").getroot()
    return [
        (
            one.findtext("name", ""),
            tuple(int(one.findtext(f"bndbox/{c}", "")) for c in ("xmin", "ymin", "xmax", "ymax")),
        )
        for one in root.iter("object")
    ]


async def test_boxes_sizes_and_lists_come_back(everything: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = syncd.export_snapshot(await everything.commit(), "voc", out)
    assert load(out, "b__x") == [("car", (1, 1, 64, 48))]
    objects = dict(load(out, "a__x"))
    assert objects["car"] == (9, 7, 24, 18)
    assert objects["tissue"] == (5, 41, 10, 46)
    assert load(out, "ä_b__日本_1") == []
    main = out / "ImageSets/Main"
    assert sorted(path.name for path in main.iterdir()) == ["train.txt", "trainval.txt", "val.txt"]
    assert (main / "train.txt").read_text(encoding="utf-8").splitlines() == ["a__x", "ä_b__日本_1"]
    assert (main / "trainval.txt").read_text(encoding="utf-8").splitlines() == ["a__x", "b__x", "ä_b__日本_1"]
    for stem in (main / "trainval.txt").read_text(encoding="utf-8").split():
        root = ET.parse(out / "Annotations" / f"{stem}.xml").getroot()
        assert (out / "JPEGImages" / root.findtext("filename", "")).is_file()
        assert int(root.findtext("size/width", "")) in {64, 20}
    assert done.lost["the outline of a polygon: the box around it is written"] == 1
    assert done.lost["a keypoint"] == 2


async def test_edges_are_rounded_to_pixels_counted_from_1(world: World, tmp_path: Path) -> None:
    shapes = [box("car", 2.4, 2.5, 3.2, 0.1), box("person", 60, 40, 20, 20)]
    world.add("1", world.image("1.jpg"), *shapes)
    syncd.export_snapshot(await world.commit(), "voc", tmp_path / "out")
    assert load(tmp_path / "out", "1") == [("car", (3, 4, 6, 4)), ("person", (61, 41, 64, 48))]
    flags = [one.text for one in ET.parse(tmp_path / "out/Annotations/1.xml").getroot().iter("truncated")]
    assert flags == ["0", "1"]


async def test_boxes_are_those_of_the_converter_within_its_cutting(tmp_path: Path) -> None:
    shapes = [box("car", 8.3, 6.1, 16.7, 12.9), box("person", 20.9, 10.2, 5.5, 9.1)]
    theirs = load(converted(tmp_path, BOXES, shapes, "VOC"), "1")
    world = World(tmp_path / "w")
    world.add("1", world.image("1.jpg"), *shapes)
    syncd.export_snapshot(await world.commit(), "voc", tmp_path / "out")
    for (label, ours), (expected, corners) in zip(load(tmp_path / "out", "1"), theirs, strict=True):
        assert label == expected
        assert ours == pytest.approx(corners, abs=2)  # it counts from 0, and cuts instead of rounding


async def test_labels_that_xml_must_escape_come_back(world: World, tmp_path: Path) -> None:
    world.xml = BOXES.replace('value="car"', 'value="&lt;car&gt; &amp; &quot;bus&quot;"')
    world.add("1", world.image("1.jpg"), box('<car> & "bus"', 1, 1, 5, 5))
    syncd.export_snapshot(await world.commit(), "voc", tmp_path / "out")
    assert load(tmp_path / "out", "1")[0][0] == '<car> & "bus"'


async def test_shapes_beside_the_image_are_left_out_and_told(world: World, tmp_path: Path) -> None:
    world.add("1", world.image("1.jpg"), box("car", 70, 5, 9, 9), box("car", 5, -9, 9, 9), box("car", 5, 5, 9, 9))
    done = syncd.export_snapshot(await world.commit(), "voc", tmp_path / "out")
    assert load(tmp_path / "out", "1") == [("car", (6, 6, 14, 14))]
    assert done.lost == {"a shape beside the image": 2}


async def test_keys_that_xml_cannot_hold_break_no_file(world: World, tmp_path: Path) -> None:
    world.add("1", world.image("a\x01b.jpg"), box("car", 5, 5, 9, 9))
    syncd.export_snapshot(await world.commit(), "voc", tmp_path / "out")
    assert load(tmp_path / "out", "a_b") == [("car", (6, 6, 14, 14))]


async def test_points_alone_do_not_fit(world: World, tmp_path: Path) -> None:
    world.xml = """<View><Image name="image" value="$image"/>
      <KeyPointLabels name="p" toName="image"><Label value="eye"/></KeyPointLabels></View>"""
    world.add("1", world.image("1.jpg"), region("keypointlabels", "eye", "p", x=5, y=5, width=1))
    with pytest.raises(Rejected, match=r"voc does not fit .*: it needs shapes drawn on images; .* What fits: .*coco"):
        syncd.export_snapshot(await world.commit(), "voc", tmp_path / "out")
