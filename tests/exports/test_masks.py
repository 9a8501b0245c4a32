"""PNG masks, read back with Pillow."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.converter.brush import decode_rle
from PIL import Image

import syncd
from syncd.domain.errors import Rejected
from tests.exports.world import SIZE, World, box, brush


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.array(image)


async def test_every_pixel_has_the_number_of_its_class(everything: World, tmp_path: Path) -> None:
    done = syncd.export_snapshot(await everything.commit(), "masks", tmp_path / "out")
    found = pixels(tmp_path / "out/masks/train/a/x.png")
    named = json.loads((tmp_path / "out/classes.json").read_text())
    assert named == {"0": "background", "1": "car", "2": "a person", "3": "road", "4": "wheel", "5": "tissue"}
    assert found.shape == (48, 64)
    expected: Any = np.zeros((48, 64), dtype=bool)
    expected[6:18, 8:24] = True
    assert ((found == 1) == expected).all()
    assert (found == 5).sum() == 36
    assert (found[40:46, 4:10] == 5).all()
    assert (found == 4).sum() == np.pi * 8 * 3.84 // 1
    assert (pixels(tmp_path / "out/masks/val/b/x.png") == 1).all()
    assert not pixels(tmp_path / "out/masks/train/ä_b/日本_1.png").any()
    assert (tmp_path / "out/images/val/b/x.jpg").is_file()
    assert dict(done.lost) == {"a keypoint": 2}


async def test_classes_have_colours_of_their_own(everything: World, tmp_path: Path) -> None:
    syncd.export_snapshot(await everything.commit(), "masks", tmp_path / "out")
    with Image.open(tmp_path / "out/masks/train/a/x.png") as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((8, 6)) == (128, 0, 0)  # VOC's first class
        assert image.convert("RGB").getpixel((0, 0)) == (0, 0, 0)


async def test_later_shapes_lie_over_earlier_ones_and_instances_are_numbered(world: World, tmp_path: Path) -> None:
    world.add(
        "1", world.image("1.jpg"), box("car", 0, 0, 20, 20), box("car", 10, 10, 20, 20), box("person", 15, 15, 2, 2)
    )
    syncd.export_snapshot(await world.commit(), "masks", tmp_path / "out", options={"instances": "true"})
    single = pixels(tmp_path / "out/instances/train/1.png")
    assert [int((single == number).sum()) for number in (1, 2, 3)] == [300, 396, 4]
    told = [json.loads(line) for line in (tmp_path / "out/instances.jsonl").read_text().splitlines()]
    assert [(one["file"], one["instance"], one["label"]) for one in told] == [
        ("instances/train/1.png", 1, "car"),
        ("instances/train/1.png", 2, "car"),
        ("instances/train/1.png", 3, "person"),
    ]
    assert {one["annotation_id"] for one in told} == {"1"}


async def test_an_option_that_is_neither_true_nor_false_is_refused(everything: World, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="instances=maybe: give true or false"):
        syncd.export_snapshot(await everything.commit(), "masks", tmp_path / "out", options={"instances": "maybe"})


async def test_brush_masks_are_the_converters_pixels(everything: World, tmp_path: Path) -> None:
    everything.rows.clear()
    drawn = brush("tissue", [(x, y) for x in range(64) for y in range(48) if (x * y) % 5 == 1])
    everything.add("1", everything.image("1.jpg"), drawn)
    syncd.export_snapshot(await everything.commit(), "masks", tmp_path / "out")
    theirs = decode_rle(drawn["value"]["rle"]).reshape(SIZE[1], SIZE[0], 4)[:, :, 3]
    assert ((pixels(tmp_path / "out/masks/train/1.png") == 5) == (theirs > 0)).all()
