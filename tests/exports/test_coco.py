"""COCO exports, read back with pycocotools, and held against label-studio-sdk's converter where that is right."""

import contextlib
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.converter.utils import convert_annotation_to_yolo_obb
from PIL import Image
from pycocotools.coco import COCO

import syncd
from syncd.domain.errors import Rejected
from syncd.domain.labels import label_config
from syncd.domain.regions import Box, Mask, Size, read_regions
from syncd.domain.regions.rle import read_rle
from syncd.exports.geometry import outline, pixels_of
from tests.exports.converter import converted
from tests.exports.world import BOXES, SIZE, World, box, brush, region

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # pycocotools with numpy 2


def load(folder: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "annotations.json"))


def by_label(coco: COCO) -> dict[str, list[dict[str, Any]]]:
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    found: dict[str, list[dict[str, Any]]] = {}
    for one in coco.loadAnns(coco.getAnnIds()):
        found.setdefault(names[one["category_id"]], []).append(one)
    return found


async def test_pycocotools_finds_every_shape_of_every_row(everything: World, tmp_path: Path) -> None:
    done = syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out")
    coco = load(tmp_path / "out")
    found = by_label(coco)
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == [
        "car",
        "a person",
        "road",
        "wheel",
        "tissue",
        "face",
    ]
    assert sorted(coco.getCatIds()) == [1, 2, 3, 4, 5, 6]
    assert [one["bbox"] for one in found["car"]] == [[8, 6, 16, 12], [0, 0, 64, 48]]
    assert found["car"][0]["area"] == 192
    assert found["car"][0]["segmentation"] == []
    assert found["road"][0]["segmentation"] == [[6.4, 24, 32, 24, 32, 48, 6.4, 48]]
    assert found["road"][0]["area"] == pytest.approx(25.6 * 24)
    assert found["face"][0]["keypoints"] == [16, 12, 2, 32, 12, 2]
    assert (found["face"][0]["num_keypoints"], coco.cats[6]["keypoints"]) == (2, ["eye", "nose"])
    assert done.lost == {}
    assert {one["iscrowd"] for ones in found.values() for one in ones} == {0}


async def test_a_turned_box_keeps_its_corners_and_its_turn(everything: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out")
    [person] = by_label(load(tmp_path / "out"))["a person"]
    x, y, right, below = 32, 12, 16, 8
    cos, sin = 0.8660254, 0.5
    expected = [x, y, x + right * cos, y + right * sin, x + right * cos - below * sin, y + right * sin + below * cos]
    assert person["segmentation"][0][:6] == pytest.approx(expected, abs=1e-3)
    assert person["area"] == pytest.approx(right * below, abs=0.01)
    assert person["attributes"]["rotation"] == 30


async def test_masks_and_ellipses_have_the_pixels_they_had(everything: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out")
    coco = load(tmp_path / "out")
    [tissue], [wheel] = by_label(coco)["tissue"], by_label(coco)["wheel"]
    mask = coco.annToMask(tissue)
    assert {(x, y) for y in range(48) for x in range(64) if mask[y, x]} == {
        (x, y) for x in range(4, 10) for y in range(40, 46)
    }
    assert (tissue["area"], tissue["bbox"]) == (36, [4, 40, 6, 6])
    assert coco.annToMask(wheel).sum() == pytest.approx(3.14159 * 8 * 3.84, rel=0.06)
    assert wheel["area"] == pytest.approx(3.14159 * 8 * 3.84, rel=0.003)


async def test_images_without_shapes_stay_and_equal_basenames_survive(everything: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out")
    images = load(tmp_path / "out").imgs.values()
    assert [(one["file_name"], one["width"], one["height"]) for one in images] == [
        ("images/a/x.jpg", 64, 48),
        ("images/b/x.jpg", 64, 48),
        ("images/ä_b/日本_1.png", 20, 30),
    ]
    for one in images:
        with Image.open(tmp_path / "out" / one["file_name"]) as image:
            assert image.size == (one["width"], one["height"])
    assert (tmp_path / "out/images/b/x.jpg").read_bytes() == (everything.bucket / "b/x.jpg").read_bytes()


async def test_the_size_of_an_image_without_shapes_is_the_one_people_saw(world: World, tmp_path: Path) -> None:
    columns = world.image("1.jpg", (40, 30))
    with Image.open(world.bucket / "1.jpg") as image:
        turned = image.getexif()
        turned[0x0112] = 6  # a quarter turn: browsers show it upright
        image.save(world.bucket / "2.jpg", exif=turned)
    world.add("1", columns)
    world.add("2", world.columns("2.jpg"))
    snapshot = await world.commit()
    syncd.export_snapshot(snapshot, "coco", tmp_path / "out")
    assert [(one["width"], one["height"]) for one in load(tmp_path / "out").imgs.values()] == [(40, 30), (30, 40)]
    done = syncd.export_snapshot(snapshot, "coco", tmp_path / "none", media="none")
    assert dict(done.lost) == {"the size of an image without shapes: its file is not here": 2}


async def test_a_file_that_is_no_image_is_told(world: World, tmp_path: Path) -> None:
    world.bucket.mkdir()
    (world.bucket / "1.jpg").write_bytes(b"no image")
    world.add("1", world.columns("1.jpg"))
    with pytest.raises(Rejected, match=r"1\.jpg is no image that can be read"):
        syncd.export_snapshot(await world.commit(), "coco", tmp_path / "out")


async def test_an_image_with_two_answers_is_listed_once(world: World, tmp_path: Path) -> None:
    image = world.image("1.jpg")
    world.add("1", image, box("car", 1, 1, 5, 5), task_id="7", updated_at="2026-01-01T00:00:00Z")
    world.add("2", image, box("person", 2, 2, 6, 6), task_id="7", updated_at="2026-01-02T00:00:00Z")
    snapshot = await world.commit()
    for tasks, labels in (("newest", ["person"]), ("all", ["car", "person"])):
        syncd.export_snapshot(snapshot, "coco", tmp_path / tasks, tasks=tasks)
        coco = load(tmp_path / tasks)
        assert len(coco.imgs) == 1
        assert list(by_label(coco)) == labels
    syncd.export_snapshot(snapshot, "coco", tmp_path / "default")
    assert list(by_label(load(tmp_path / "default"))) == ["person"]


async def test_several_labels_choices_and_texts_of_one_shape_are_kept(world: World, tmp_path: Path) -> None:
    world.xml = label_config("ocr", ["text", "hand"])
    place = {"x": 25.0, "y": 25.0, "width": 50.0, "height": 25.0, "rotation": 0}
    head = {"id": "r", "to_name": "image", "original_width": 64, "original_height": 48}
    regions = [
        {**head, "type": "rectangle", "from_name": "bbox", "value": place},
        {**head, "type": "labels", "from_name": "label", "value": {**place, "labels": ["text", "hand"]}},
        {**head, "type": "textarea", "from_name": "transcription", "value": {**place, "text": ["GREEN"]}},
    ]
    world.add("1", world.image("1.jpg"), *regions)
    syncd.export_snapshot(await world.commit(), "coco", tmp_path / "out")
    found = by_label(load(tmp_path / "out"))
    assert found["text"][0]["bbox"] == found["hand"][0]["bbox"] == [16, 12, 32, 12]
    assert found["text"][0]["attributes"] == {"annotation_id": "1", "text": ["GREEN"]}


async def test_points_drawn_twice_are_two_instances(everything: World, tmp_path: Path) -> None:
    eyes = [region("keypointlabels", "eye", "face", x=x, y=50, width=0.5) for x in (25, 75)]
    everything.rows.clear()
    everything.add("1", everything.image("1.jpg"), *eyes)
    syncd.export_snapshot(await everything.commit(), "coco", tmp_path / "out")
    assert [one["keypoints"] for one in by_label(load(tmp_path / "out"))["face"]] == [
        [16, 24, 2, 0, 0, 0],
        [48, 24, 2, 0, 0, 0],
    ]


async def test_what_has_no_place_in_coco_is_told(world: World, tmp_path: Path) -> None:
    broken = {**brush("car", [(1, 1)]), "value": {"format": "rle", "rle": [1, 2, 3], "brushlabels": ["car"]}}
    world.add("1", world.image("1.jpg"), box(None, 1, 1, 5, 5), broken, box("car", 1, 1, 5, 5))
    done = syncd.export_snapshot(await world.commit(), "coco", tmp_path / "out")
    assert done.lost == {"a box without a label": 1, "a mask that is empty or damaged": 1}
    assert len(load(tmp_path / "out").anns) == 1
    with pytest.raises(Rejected, match=r"cannot hold all of .*: a box without a label \(1\); a mask"):
        syncd.export_snapshot(world.open(), "coco", tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


async def test_a_turned_box_is_turned_in_pixels_where_the_converter_turns_percents(tmp_path: Path) -> None:
    shape = box("car", 32, 12, 16, 8, rotation=90)
    [theirs] = orjson.loads((converted(tmp_path, BOXES, [shape], "COCO") / "result.json").read_bytes())["annotations"]
    world = World(tmp_path / "w")
    world.add("1", world.image("1.jpg"), shape)
    syncd.export_snapshot(await world.commit(), "coco", tmp_path / "out")
    [ours] = by_label(load(tmp_path / "out"))["car"]
    assert ours["bbox"] == [24, 12, 8, 16]  # 16 x 8 upright: 8 x 16
    assert theirs["bbox"] != pytest.approx(ours["bbox"], abs=1)


async def test_coco_says_the_same_as_the_converter_where_that_is_right(tmp_path: Path) -> None:
    xml = BOXES.replace(
        "</View>", '<PolygonLabels name="p" toName="image"><Label value="road"/></PolygonLabels></View>'
    )
    shapes = [
        box("car", 8.3, 6.1, 16.7, 12.9),
        region("rectanglelabels", "person", size=(80, 80), x=50, y=20, width=20, height=10, rotation=33.3),
        region("polygonlabels", "road", "p", points=[[10, 50], [51.7, 50], [50, 93.1]], closed=True),
    ]
    theirs = converted(tmp_path, xml, shapes, "COCO") / "result.json"
    other = orjson.loads(theirs.read_bytes())
    names = {one["id"]: one["name"] for one in other["categories"]}
    expected = {names[one["category_id"]]: one for one in other["annotations"]}
    world = World(tmp_path / "w", xml)
    world.add("1", world.image("1.jpg"), *shapes)
    syncd.export_snapshot(await world.commit(), "coco", tmp_path / "out")
    found = by_label(load(tmp_path / "out"))
    for label in ("car", "person", "road"):
        assert found[label][0]["bbox"] == pytest.approx(expected[label]["bbox"], abs=1e-3)
    assert found["road"][0]["segmentation"][0] == pytest.approx(expected["road"]["segmentation"][0], abs=1e-3)
    assert found["road"][0]["area"] == pytest.approx(expected["road"]["area"], abs=0.01)


pixels = st.frozensets(st.tuples(st.integers(0, SIZE[0] - 1), st.integers(0, SIZE[1] - 1)), min_size=1, max_size=400)


@settings(max_examples=30, deadline=None)
@given(pixels)
def test_masks_are_decoded_as_label_studio_encodes_them(points: frozenset[tuple[int, int]]) -> None:
    rle = tuple(brush("car", points)["value"]["rle"])
    assert read_rle(rle, 4 * SIZE[0] * SIZE[1]) == decode_rle(list(rle)).tobytes()
    found = pixels_of(Mask(rle=rle, size=Size(*SIZE)))
    assert {(i % SIZE[0], i // SIZE[0]) for i, value in enumerate(found) if value} == points


share = st.floats(0, 100, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(share, share, share, share, st.floats(-360, 360))
def test_corners_of_turned_boxes_are_the_converters(x: float, y: float, w: float, h: float, turn: float) -> None:
    one = region("rectanglelabels", "car", x=x, y=y, width=w, height=h, rotation=turn)
    theirs = convert_annotation_to_yolo_obb({**one, **one["value"]}, normalize=False)
    [mine] = read_regions([one])
    assert isinstance(mine, Box)
    expected = [value for point in theirs or () for value in point]
    assert [value for point in outline(mine) for value in point] == pytest.approx(expected, abs=1e-6)
