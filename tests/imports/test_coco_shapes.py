"""COCO's masks and keypoints, against the libraries of both worlds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.converter import brush
from pycocotools import mask as coco_mask

from syncd.domain.checks import check
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.regions import Box, Keypoint, Mask, Size, write_regions
from syncd.domain.regions.rle import read_mask, write_mask
from syncd.imports import PARSERS
from syncd.imports.coco_masks import pixels_of
from tests.imports.files import BOXES, POLYGONS, coco

BRUSH = parse_label_config(
    '<View><Image name="image" value="$image"/>'
    '<BrushLabels name="b" toName="image"><Label value="cat"/></BrushLabels></View>'
)
POINTS = parse_label_config(
    '<View><Image name="image" value="$image"/>'
    '<KeyPointLabels name="p" toName="image"><Label value="nose"/><Label value="tail"/></KeyPointLabels>'
    '<RectangleLabels name="r" toName="image"><Label value="cat"/></RectangleLabels></View>'
)
IMAGE = [{"id": 1, "file_name": "x.jpg", "width": 40, "height": 30}]


def annotation(**more: object) -> list[dict[str, object]]:
    return [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [4, 5, 20, 10], **more}]


def mask(seed: int) -> Any:
    """Pixels as noise of some density, or as one rectangle with long runs."""
    random = np.random.default_rng(seed)
    if seed % 4:
        return (random.random(random.integers(1, 60, 2)) < random.random()).astype(np.uint8)
    pixels: Any = np.full((700, 400), seed % 8 // 4, np.uint8)
    pixels[100:600, 50:300] ^= 1
    return pixels


@pytest.mark.parametrize("seed", range(40))
def test_masks_are_the_same_pixels_in_every_encoding(seed: int) -> None:
    pixels = mask(seed)
    height, width = pixels.shape
    encoded = coco_mask.encode(np.asfortranarray(pixels))
    found = pixels_of({"size": [height, width], "counts": encoded["counts"].decode()}, Size(width, height))
    assert found == pixels.tobytes()
    rle = write_mask(found)
    assert read_mask(rle, width, height) == found
    theirs = np.asarray(brush.decode_rle(list(rle))).reshape(height, width, 4)
    assert (theirs == 255 * pixels[:, :, None]).all()


def test_a_run_length_mask_becomes_a_brush_stroke_else_a_box(tmp_path: Path) -> None:
    crowd = {"size": [30, 40], "counts": [31, 2, 30 * 40 - 33]}
    file = coco(tmp_path, images=IMAGE, annotations=annotation(segmentation=crowd, iscrowd=1))
    ((stroke,),) = (item.regions for item in PARSERS["coco"](file, BRUSH))
    assert isinstance(stroke, Mask)
    assert [at for at, on in enumerate(read_mask(stroke.rle, 40, 30)) if on] == [41, 81]
    assert check(list(write_regions([stroke], BRUSH)), BRUSH) is None
    ((box,),) = (item.regions for item in PARSERS["coco"](file, BOXES))
    assert isinstance(box, Box)
    (item,) = PARSERS["coco"](file, POLYGONS)
    assert item.problem == "annotation 1 has no shape that the label config draws"


@pytest.mark.parametrize("counts", [[1, 2], "0", "o", [-1, 1201], [1201]])
def test_a_mask_of_another_size_is_told(tmp_path: Path, counts: object) -> None:
    segmentation = {"size": [30, 40], "counts": counts}
    (item,) = PARSERS["coco"](coco(tmp_path, images=IMAGE, annotations=annotation(segmentation=segmentation)), BRUSH)
    assert "its mask is not of the image's 40 x 30 pixels" in item.problem


def test_keypoints_come_beside_their_box_under_their_own_names(tmp_path: Path) -> None:
    categories = [{"id": 7, "name": "cat", "keypoints": ["nose", "ear", "tail"]}]
    body = annotation(keypoints=[5, 6, 2, 0, 0, 0, 20, 12, 1], num_keypoints=2)
    ((box, nose, tail),) = (
        item.regions
        for item in PARSERS["coco"](coco(tmp_path, images=IMAGE, categories=categories, annotations=body), POINTS)
    )
    assert (box.label, nose.label, tail.label) == ("cat", "nose", "tail")
    assert isinstance(tail, Keypoint)
    assert (tail.x, tail.y) == (20, 12)
    assert check(list(write_regions([box, nose, tail], POINTS)), POINTS) is None
