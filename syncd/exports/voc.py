"""Pascal VOC: an XML file for each image in `Annotations/`, lists of images in `ImageSets/Main/`, `JPEGImages/`.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html. Corners are pixels counted from 1, the last one
inside: edges are rounded to the nearest pixel edge (halves up), `xmin` is the pixel right of the left edge, `xmax`
the pixel left of the right edge, at least one pixel, kept on the image; so a box of whole pixels comes back exactly.
Every shape is the box around it; what else it was is told. `truncated` is 1 where it reaches over the image's edge.
`depth` is always 3. Images without objects are there too, and in the lists. `classes.txt` has the labels in order.

Written here and not by label-studio-sdk's converter: it calls files by the image's basename, so that one of two is
lost, leaves out images without objects, counts from 0, and takes turned boxes for upright ones.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from syncd.domain.regions import Box, Ellipse, Mask, Polygon, Size
from syncd.exports.base import Format, Source
from syncd.exports.geometry import bounds, pixels_of
from syncd.exports.pictures import Picture, classes, drawn_area, only_box, pictures, shapes

IMAGES = "JPEGImages"
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by XML 1.0, in keys too


def _write(source: Source, out: Path) -> None:
    (out / "Annotations").mkdir()
    splits: dict[str, list[str]] = {}
    for picture in pictures(source):
        splits.setdefault(picture.split, []).append(picture.stem)
        picture.place(f"{IMAGES}/{picture.name}")
        tree = ElementTree(_annotation(source, picture))
        indent(tree)
        tree.write(out / "Annotations" / f"{picture.stem}.xml", encoding="utf-8", xml_declaration=False)
    _lists(out / "ImageSets" / "Main", splits)
    _lines(out / "classes.txt", classes(source))


def _lists(folder: Path, splits: dict[str, list[str]]) -> None:
    folder.mkdir(parents=True)
    for split, stems in splits.items():
        _lines(folder / f"{split}.txt", stems)
    if both := [*splits.get("train", ()), *splits.get("val", ())]:
        _lines(folder / "trainval.txt", sorted(both))


def _lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _annotation(source: Source, picture: Picture) -> Element:
    root = Element("annotation")
    _text(root, folder=IMAGES, filename=picture.name)
    if uri := picture.items[0].row.get("object_uri"):
        _text(root, path=uri)
    snapshot = source.snapshot
    _text(SubElement(root, "source"), database=f"{snapshot.dataset}@{snapshot.name}")
    if size := picture.size:
        _text(SubElement(root, "size"), width=size.width, height=size.height, depth=3)
    else:
        source.lose("the size of an image without shapes: its file is not here")
    _text(root, segmented=0)
    root.extend(_objects(source, picture))
    return root


def _objects(source: Source, picture: Picture) -> Iterator[Element]:
    for _, shape, label in shapes(source, picture, Box, Ellipse, Mask, Polygon):
        pixels = pixels_of(shape) if isinstance(shape, Mask) else b""
        if isinstance(shape, Mask) and not pixels:
            source.lose("a mask that is empty or damaged")
            continue
        only_box(source, shape)
        left, top, width, height = bounds(shape, pixels)
        if left < shape.size.width and top < shape.size.height and left + width > 0 and top + height > 0:
            yield _object(label, (left, top, left + width, top + height), shape.size)
        else:
            source.lose("a shape beside the image")


def _object(label: str, edges: tuple[float, float, float, float], size: Size) -> Element:
    left, top, right, bottom = edges
    over = left < -0.5 or top < -0.5 or right > size.width + 0.5 or bottom > size.height + 0.5
    made = Element("object")
    _text(made, name=label, pose="Unspecified", truncated=int(over), difficult=0)
    xmin, xmax = _pixels(left, right, size.width)
    ymin, ymax = _pixels(top, bottom, size.height)
    _text(SubElement(made, "bndbox"), xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    return made


def _pixels(start: float, end: float, length: int) -> tuple[int, int]:
    """First and last pixel between two edges, counted from 1."""
    first = min(max(_nearest(start) + 1, 1), length)
    return first, max(min(_nearest(end), length), first)


def _nearest(edge: float) -> int:
    return math.floor(edge + 0.5)


def _text(parent: Element, **values: object) -> None:
    for name, value in values.items():
        SubElement(parent, name).text = _FORBIDDEN.sub("\ufffd", str(value))


FORMAT = Format("voc", "Pascal VOC: an XML file of boxes for each image", _write, drawn_area, media=True, flat=True)
