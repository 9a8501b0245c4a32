"""Ultralytics YOLO: `data.yaml`, `images/SPLIT` and `labels/SPLIT`, for detection, segmentation and turned boxes.

https://docs.ultralytics.com/datasets/detect, /segment and /obb. One line for each object: the class, counted from 0 in
the order of the label config, and numbers as shares (0 to 1) of width and height with six decimals:

- `yolo`: centre and size of the box around a shape of any kind.
- `yolo-seg`: an outline. Boxes are four corners, ellipses 64; a mask follows its pixels' edges, simplified by up to
  one pixel. A line cannot say holes, nor two parts: the first are filled, the second become lines of their own, and
  both are told.
- `yolo-obb`: four corners, clockwise from the top left one; for other shapes those of the smallest turned box around.

What reaches over the image's edge is cut there, because Ultralytics leaves out every image that has a number above 1.
An image without objects has an empty file: it is a negative. Images lie in one folder (a key's folders joined by `__`):
Ultralytics finds a label file by the last `/images/` in a path, which a key might hold too. Without a val split, `val`
in `data.yaml` is the train split, because both must be there.

Written here and not by label-studio-sdk's converter, which gives the same numbers for upright boxes, polygons and
turned boxes in `yolo-obb` (tests compare), but calls label files by the image's basename, so that one of two is lost,
takes turned boxes for upright ones in `yolo`, and drops ellipses, masks and boxes that never had a turn.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from syncd.domain.regions import Box, Ellipse, Mask, Polygon, Size
from syncd.exports.base import Format, Source
from syncd.exports.geometry import Point, around, bounds, corners, inside, outline, parts, pixels_of
from syncd.exports.pictures import UNSPLIT, Picture, classes, drawn_area, only_box, pictures, read_by_name, shapes

READ = {"avif", "bmp", "dng", "heic", "jp2", "jpeg", "jpg", "mpo", "pfm", "png", "tif", "tiff", "webp"}
"""https://docs.ultralytics.com/modes/predict/#images"""
_Drawn = Box | Ellipse | Mask | Polygon
_Lines = Callable[[Source, _Drawn, bytes], Iterator[list[float]]]
_DECIMALS = 6


def _write(lines: _Lines, source: Source, out: Path) -> None:
    labels = {label: number for number, label in enumerate(classes(source))}
    splits = {UNSPLIT}
    for picture in pictures(source):
        read_by_name(source, picture, READ, "Ultralytics")
        splits.add(picture.split)
        picture.place(f"images/{picture.split}/{picture.name}")
        file = out / "labels" / picture.split / f"{picture.stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(_objects(lines, source, picture, labels)), encoding="ascii", newline="\n")
    for split in splits:
        (out / "images" / split).mkdir(parents=True, exist_ok=True)
    (out / "data.yaml").write_text(_yaml(source, splits, labels), encoding="utf-8", newline="\n")


def _yaml(source: Source, splits: set[str], labels: dict[str, int]) -> str:
    """Without `path`, folders are below the file's own. A JSON text is a YAML text."""
    others = sorted(splits - {"train", "val", "test"})
    places = {split: split for split in ("train", "val", "test", *others) if split in splits}
    if "val" not in places:
        places = {"train": UNSPLIT, "val": UNSPLIT, **places}
    named = [f"{json.dumps(name, ensure_ascii=False)}: {_quoted(f'images/{split}')}" for name, split in places.items()]
    names = [f"  {number}: {_quoted(label)}" for label, number in labels.items()]
    head = [f"# {source.snapshot.dataset}@{source.snapshot.name}"]
    return "\n".join([*head, *named, f"nc: {len(labels)}", "names:", *names, ""])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _objects(lines: _Lines, source: Source, picture: Picture, labels: dict[str, int]) -> Iterator[str]:
    for _, shape, label in shapes(source, picture, Box, Ellipse, Mask, Polygon):
        pixels = pixels_of(shape) if isinstance(shape, Mask) else b""
        if isinstance(shape, Mask) and not pixels:
            source.lose("a mask that is empty or damaged")
            continue
        empty = True
        for numbers in lines(source, shape, pixels):
            empty = False
            yield " ".join([str(labels[label]), *(f"{number:.{_DECIMALS}f}" for number in numbers)]) + "\n"
        if empty:
            source.lose("a shape without any area on the image")


# ---------------------------------------------------------------- one line


def _box(source: Source, shape: _Drawn, pixels: bytes) -> Iterator[list[float]]:
    only_box(source, shape)
    left, top, width, height = bounds(shape, pixels)
    (left, top), (right, bottom) = _shares([(left, top), (left + width, top + height)], shape.size)
    if right > left and bottom > top:
        yield [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _outline(source: Source, shape: _Drawn, pixels: bytes) -> Iterator[list[float]]:
    rings = _rings(source, shape, pixels) if isinstance(shape, Mask) else inside(outline(shape), shape.size)
    source.lose("that several parts of one shape are one object", len(rings) - 1 if rings else 0)
    for ring in rings:
        points = _shares(ring, shape.size)
        width, height = around(points)[2:]
        if len(points) >= 3 and width and height:
            yield [value for point in points for value in point]


def _rings(source: Source, mask: Mask, pixels: bytes) -> list[list[Point]]:
    found = parts(pixels, mask.size)
    source.lose("a hole in a mask", sum(len(part.interiors) for part in found))
    return [list(part.exterior.simplify(1.0).coords)[:-1] for part in found]


def _corners(source: Source, shape: _Drawn, pixels: bytes) -> Iterator[list[float]]:
    exact = corners(shape, pixels)
    points = _shares(exact, shape.size)
    width, height = around(points)[2:]
    if width and height:
        if inside(exact, shape.size) != [exact]:
            source.lose("a corner beyond the image's edge: it was moved to the edge")
        yield [value for point in points for value in point]


def _shares(points: list[Point], size: Size) -> list[Point]:
    """Shares of width and height, kept on the image."""
    return [(_clipped(x / size.width), _clipped(y / size.height)) for x, y in points]


def _clipped(share: float) -> float:
    return round(min(max(share, 0.0), 1.0), _DECIMALS)


def _format(name: str, description: str, lines: _Lines) -> Format:
    write = partial(_write, lines)
    return Format(name, description, write, drawn_area, media=True, needs_files=True, flat=True)


DETECTION = _format("yolo", "Ultralytics YOLO: upright boxes", _box)
SEGMENTATION = _format("yolo-seg", "Ultralytics YOLO: outlines for segmentation", _outline)
ORIENTED = _format("yolo-obb", "Ultralytics YOLO: turned boxes (OBB)", _corners)
