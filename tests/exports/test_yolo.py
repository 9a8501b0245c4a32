"""YOLO exports, read by the rules of Ultralytics' documentation (`yolo_rules`), and held against the converter."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import syncd
from syncd.domain.errors import Rejected
from syncd.domain.labels import label_config
from syncd.domain.regions import Mask, read_regions
from syncd.exports.geometry import parts, pixels_of
from tests.exports.converter import converted
from tests.exports.world import BOXES, LABELS, SIZE, World, box, brush, region
from tests.exports.yolo_rules import clockwise, load

W, H = SIZE


async def test_boxes_come_back_by_split_and_class(everything: World, tmp_path: Path) -> None:
    done = syncd.export_snapshot(await everything.commit(), "yolo", tmp_path / "out")
    found = load(tmp_path / "out", "yolo")
    assert list(found) == ["train", "val"]
    assert list(found["train"]) == ["images/train/a__x.jpg", "images/train/ä_b__日本_1.png"]
    assert found["train"]["images/train/ä_b__日本_1.png"] == []  # a negative
    assert found["val"] == {"images/val/b__x.jpg": found["val"]["images/val/b__x.jpg"]}
    assert found["val"]["images/val/b__x.jpg"][0].numbers == (0.5, 0.5, 1, 1)
    objects = {line.label: line.numbers for line in found["train"]["images/train/a__x.jpg"]}
    assert objects["car"] == (16 / W, 12 / H, 16 / W, 12 / H)
    assert objects["road"] == pytest.approx((19.2 / W, 36 / H, 25.6 / W, 24 / H), abs=1e-6)
    assert objects["tissue"] == pytest.approx((7 / W, 43 / H, 6 / W, 6 / H), abs=1e-6)
    assert objects["a person"][2] * W == pytest.approx(16 * 0.8660254 + 8 * 0.5, abs=1e-3)
    assert done.lost["the turn of a box: the upright box around it is written"] == 1
    assert done.lost["a keypoint"] == 2


async def test_outlines_for_segmentation(everything: World, tmp_path: Path) -> None:
    done = syncd.export_snapshot(await everything.commit(), "yolo-seg", tmp_path / "out")
    found = load(tmp_path / "out", "yolo-seg")["train"]["images/train/a__x.jpg"]
    objects = {line.label: line.numbers for line in found}
    expected = (0.1, 0.5, 0.5, 0.5, 0.5, 1, 0.1, 1)
    assert objects["road"] == expected
    assert objects["car"] == (8 / W, 6 / H, 24 / W, 6 / H, 24 / W, 18 / H, 8 / W, 18 / H)
    assert len(objects["wheel"]) == 128
    tissue = list(zip(objects["tissue"][::2], objects["tissue"][1::2], strict=True))
    assert sorted((round(x * W, 3), round(y * H, 3)) for x, y in tissue) == [(4, 40), (4, 46), (10, 40), (10, 46)]
    assert dict(done.lost) == {"a keypoint": 2}


async def test_turned_boxes_have_their_four_corners(everything: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await everything.commit(), "yolo-obb", tmp_path / "out")
    found = load(tmp_path / "out", "yolo-obb")["train"]["images/train/a__x.jpg"]
    objects = {line.label: line.numbers for line in found}
    assert sorted(objects) == ["a person", "car", "road", "tissue", "wheel"]
    assert all(clockwise(numbers) for numbers in objects.values())
    assert objects["car"] == (8 / W, 6 / H, 24 / W, 6 / H, 24 / W, 18 / H, 8 / W, 18 / H)
    assert objects["tissue"] == pytest.approx((4 / W, 40 / H, 10 / W, 40 / H, 10 / W, 46 / H, 4 / W, 46 / H), abs=1e-6)


@pytest.mark.parametrize(("kind", "theirs"), [("yolo", "YOLO"), ("yolo-obb", "YOLO_OBB")])
async def test_the_numbers_are_those_of_the_converter_where_it_is_right(kind: str, theirs: str, tmp_path: Path) -> None:
    shapes = [box("car", 8.3, 6.1, 16.7, 12.9)]
    shapes += [box("person", 30, 12, 16, 8, rotation=33.3)] if kind == "yolo-obb" else []
    labels = converted(tmp_path, BOXES, shapes, theirs) / "labels" / "1.txt"
    expected = [tuple(map(float, line.split())) for line in labels.read_text().splitlines()]
    world = World(tmp_path / "w")
    world.add("1", world.image("1.jpg"), *shapes)
    syncd.export_snapshot(await world.commit(), kind, tmp_path / "out")
    ours = load(tmp_path / "out", kind)["train"]["images/train/1.jpg"]
    assert [(LABELS.index(line.label), *line.numbers) for line in ours] == [
        pytest.approx(one, abs=1e-6) for one in expected
    ]


async def test_shapes_over_the_edge_are_cut_there(world: World, tmp_path: Path) -> None:
    world.add("1", world.image("1.jpg"), box("car", 56, 40, 16, 16), box("person", 2, 2, 20, 10, rotation=100))
    snapshot = await world.commit()
    for kind in ("yolo", "yolo-seg", "yolo-obb"):
        syncd.export_snapshot(snapshot, kind, tmp_path / kind)
        car, person = load(tmp_path / kind, kind)["train"]["images/train/1.jpg"]
        assert (car.label, person.label) == ("car", "person")
    car = load(tmp_path / "yolo", "yolo")["train"]["images/train/1.jpg"][0]
    assert car.numbers == pytest.approx((60 / W, 44 / H, 8 / W, 8 / H), abs=1e-6)


async def test_a_turned_box_over_the_edge_is_told(world: World, tmp_path: Path) -> None:
    inside, over = (box("car", x, 10, 20, 10, rotation=30) for x in (20, 1))
    world.add("1", world.image("1.jpg"), inside, over)
    done = syncd.export_snapshot(await world.commit(), "yolo-obb", tmp_path / "out")
    assert done.lost == {"a corner beyond the image's edge: it was moved to the edge": 1}


async def test_names_that_would_share_a_label_file_are_told_apart(world: World, tmp_path: Path) -> None:
    keys = ["a/x.jpg", "b/x.jpg", "a__x.jpg", "a/X.png", "images/y.jpg", "a b.jpg", "a_b.jpg"]
    for number, key in enumerate(keys, 1):
        world.add(str(number), world.image(key), box("car", number, number, 8, 8))
    syncd.export_snapshot(await world.commit(), "yolo", tmp_path / "out")
    found = load(tmp_path / "out", "yolo")["train"]
    assert len({name.rsplit(".", 1)[0].casefold() for name in found}) == len(keys)
    lefts = sorted(round((line.numbers[0] - line.numbers[2] / 2) * W) for [line] in found.values())
    assert lefts == [1, 2, 3, 4, 5, 6, 7]
    assert {"images/train/a__x.jpg", "images/train/b__x.jpg", "images/train/images__y.jpg"} <= found.keys()


async def test_holes_and_parts_of_masks_are_told(world: World, tmp_path: Path) -> None:
    world.xml = label_config("brush-segmentation", ["tissue"])
    ring = [(x, y) for x in range(10, 20) for y in range(10, 20) if not (13 <= x < 17 and 13 <= y < 17)]
    world.add("1", world.image("1.jpg"), brush("tissue", [*ring, (40, 40), (41, 40), (40, 41), (41, 41)], "label"))
    done = syncd.export_snapshot(await world.commit(), "yolo-seg", tmp_path / "out")
    assert len(load(tmp_path / "out", "yolo-seg")["train"]["images/train/1.jpg"]) == 2
    assert dict(done.lost) == {"a hole in a mask": 1, "that several parts of one shape are one object": 1}


async def test_images_by_uri_are_refused(everything: World, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="yolo finds images by their path, not by URI"):
        syncd.export_snapshot(await everything.commit(), "yolo", tmp_path / "out", media="uri")


place = st.floats(0, 100, allow_nan=False)
boxes = st.lists(st.tuples(place, place, place, place, st.sampled_from(LABELS)), max_size=6)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(boxes, min_size=1, max_size=3))
async def test_any_boxes_come_back_within_rounding(images: list[list[tuple[float, float, float, float, str]]]) -> None:
    """Property: every box of every image, to a millionth of its side, and nothing else."""
    with TemporaryDirectory() as folder:  # tmp_path is one for all examples
        world = World(Path(folder))
        expected = {}
        for number, drawn in enumerate(images):
            kept = [(min(x, 99.0), min(y, 99.0), w, h, label) for x, y, w, h, label in drawn]
            kept = [(x, y, min(w, 100 - x), min(h, 100 - y), label) for x, y, w, h, label in kept]
            kept = [one for one in dict.fromkeys(kept) if one[2] > 1e-3 and one[3] > 1e-3]
            shapes = [
                region("rectanglelabels", label, x=x, y=y, width=w, height=h, rotation=0) for x, y, w, h, label in kept
            ]
            world.add(str(number), world.image(f"{number}.png"), *shapes)
            expected[f"images/train/{number}.png"] = kept
        syncd.export_snapshot(await world.commit(), "yolo", Path(folder) / "out")
        found = load(Path(folder) / "out", "yolo")["train"]
        assert found.keys() == expected.keys()
        for name, kept in expected.items():
            assert [line.label for line in found[name]] == [label for *_, label in kept]
            for line, (x, y, w, h, _) in zip(found[name], kept, strict=True):
                centre = ((x + w / 2) / 100, (y + h / 2) / 100, w / 100, h / 100)
                assert line.numbers == pytest.approx(centre, abs=2.1e-6)


def test_parts_of_a_mask_cover_its_pixels() -> None:
    drawn = {(x, y) for x in range(5, 30) for y in range(5, 30) if (x + y) % 7 and x % 5}
    [mask] = read_regions([brush("car", drawn)])
    assert isinstance(mask, Mask)
    found = parts(pixels_of(mask), mask.size)
    assert sum(part.area for part in found) == len(drawn)
