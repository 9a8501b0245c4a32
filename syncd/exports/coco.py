"""COCO: `annotations.json` with boxes, outlines, masks and keypoints, images in `images/`.

https://cocodataset.org/#format-data. Pixels, rounded to thousandths. Categories are numbered from 1 in the order of
the label config, so that a label keeps its number while others come behind it. Every image stands there once, also
those without any shape. A shape with two labels is two annotations.

- A box is `bbox` with no `segmentation`; a turned box is the box around it, its corners as `segmentation`, and its turn
  (degrees, clockwise) in `attributes`.
- An ellipse is a polygon of 64 corners; its `bbox` is exact.
- A mask is run-length encoded, uncompressed, with `iscrowd` 0: one object, not a crowd.
- Points are the keypoints of one category for each KeyPointLabels control, called as the control, in the order of its
  labels. All points of an answer are one instance; where a label is there n times, they are n instances in the order
  of drawing.
- Transcriptions, and answers about one shape, are in `attributes`.

Written here and not by label-studio-sdk's converter, which gives the same boxes and polygons (tests compare), but
loses masks, ellipses, the turn of boxes, all labels but the first and regions without a size, lists an image once
for each answer, numbers from 0 in the order of the alphabet, and writes today's date.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from syncd.domain.regions import Box, Ellipse, Keypoint, Mask, Polygon, Region
from syncd.exports.base import Format, Item, Source
from syncd.exports.geometry import area, around, bounds, outline, pixels_of
from syncd.exports.pictures import Picture, classes, drawn, pictures, point_controls, shapes

_RUNS = re.compile(rb"\x00+|\x01+")
Json = dict[str, Any]


@dataclass(slots=True)
class _Writer:
    """The numbers of categories, and what was written so far."""

    source: Source
    labels: dict[str, int]
    points: dict[str, Json]
    images: list[Json] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def add(self, picture: Picture) -> None:
        """One image with all that was drawn on it."""
        number = len(self.images) + 1
        self.images.append(_image(self.source, picture, number))
        for item, shape, label in shapes(self.source, picture, Box, Polygon, Ellipse, Mask, Keypoint):
            if not isinstance(shape, Keypoint) and (body := _body(self.source, shape)):
                self._annotate(item, number, self.labels[label], body, shape)
        for item in picture.items:
            for name, category in self.points.items():
                for keypoints in _instances(item, name, category["keypoints"]):
                    self._annotate(item, number, category["id"], keypoints)

    def _annotate(self, item: Item, image: int, category: int, body: Json, shape: Region | None = None) -> None:
        head = {"id": next(self.numbers), "image_id": image, "category_id": category}
        told = _attributes(item, shape)
        self.annotations.append({**head, **body, "iscrowd": 0, "attributes": told})


def _write(source: Source, out: Path) -> None:
    labels = {label: number for number, label in enumerate(classes(source), 1)}
    points = {
        name: {"id": number, "name": name, "supercategory": "", "keypoints": list(names), "skeleton": []}
        for number, (name, names) in enumerate(point_controls(source).items(), len(labels) + 1)
    }
    writer = _Writer(source, labels, points)
    for picture in pictures(source):
        writer.add(picture)
    categories = [{"id": number, "name": label, "supercategory": ""} for label, number in labels.items()]
    snapshot = source.snapshot
    whole = {
        "info": {"description": f"{snapshot.dataset}@{snapshot.name}", "version": snapshot.name},
        "licenses": [],
        "images": writer.images,
        "annotations": writer.annotations,
        "categories": [*categories, *points.values()],
    }
    (out / "annotations.json").write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")


def _image(source: Source, picture: Picture, number: int) -> Json:
    size, row = picture.size, picture.items[0].row
    if size is None:
        source.lose("the size of an image without shapes: its file is not here")
    measures = {"width": size.width, "height": size.height} if size else {}
    uri = {"coco_url": row["object_uri"]} if row.get("object_uri") else {}
    split = {"split": row["split"]} if row.get("split") else {}
    return {"id": number, "file_name": picture.place(f"images/{picture.name}"), **measures, **uri, **split}


def _attributes(item: Item, shape: Region | None) -> Json:
    """What COCO has no word for, and where it is from."""
    told: Json = {"annotation_id": item.row["annotation_id"]}
    if shape is None:
        return told
    if turn := getattr(shape, "rotation", 0.0):
        told["rotation"] = turn
    if shape.text:
        told["text"] = list(shape.text)
    return told | {control: list(chosen) for control, chosen in shape.choices.items() if control not in told}


# ---------------------------------------------------------------- shapes


def _body(source: Source, shape: Box | Polygon | Ellipse | Mask) -> Json | None:
    if isinstance(shape, Mask):
        return _mask(source, shape)
    box = bounds(shape)
    if isinstance(shape, Box) and not shape.rotation:
        return {"bbox": _rounded(box), "area": round(box[2] * box[3], 3), "segmentation": []}
    points = outline(shape)
    flat = _rounded([value for point in points for value in point])
    return {"bbox": _rounded(box), "area": round(area(points), 3), "segmentation": [flat]}


def _mask(source: Source, mask: Mask) -> Json | None:
    pixels = pixels_of(mask)
    if not pixels:
        source.lose("a mask that is empty or damaged")
        return None
    width, height = mask.size.width, mask.size.height
    columns = b"".join(pixels[x::width] for x in range(width))
    counts = [len(run[0]) for run in _RUNS.finditer(columns)]
    counts = counts if columns[0] == 0 else [0, *counts]  # the first run is of what is not masked
    box = bounds(mask, pixels)
    return {"bbox": _rounded(box), "area": pixels.count(1), "segmentation": {"size": [height, width], "counts": counts}}


def _instances(item: Item, control: str, names: list[str]) -> Iterator[Json]:
    """Keypoints in the order of their names; x, y, 2 (seen) each, three zeros for what is not there."""
    found: dict[str, list[Keypoint]] = {}
    for region in item.regions:
        if isinstance(region, Keypoint) and region.control == control and not region.item:
            for label in region.labels:
                found.setdefault(label, []).append(region)
    for turn in range(max(map(len, found.values()), default=0)):
        here = {label: places[turn] for label, places in found.items() if turn < len(places)}
        values = [v for name in names for v in ((here[name].x, here[name].y, 2) if name in here else (0, 0, 0))]
        box = around([(point.x, point.y) for point in here.values()])
        body = {"keypoints": _rounded(values), "num_keypoints": len(here)}
        yield {**body, "bbox": _rounded(box), "area": round(box[2] * box[3], 3), "segmentation": []}


def _rounded(values: Any) -> list[float]:
    return [round(value, 3) + 0.0 for value in values]  # + 0.0: no -0.0


FORMAT = Format(
    "coco",
    "COCO: boxes, outlines, masks and keypoints in one JSON file",
    _write,
    drawn,
    media=True,
)
