"""Masks: a PNG for each image in `masks/SPLIT`, one number a pixel; images in `images/SPLIT`.

Semantic segmentation as in Pascal VOC's SegmentationClass: 8 bits with a palette, 0 is the background, classes count
from 1 in the order of the label config (`classes.json`). Shapes are drawn in the order people drew them, later ones
over earlier ones; of a shape with several labels the first counts. A pixel is in an outline where its centre is. With
the option `instances=true` a second PNG lies in `instances/SPLIT`: 16 bits, shapes numbered from 1, and
`instances.jsonl` says what each is.

The pixels are the same everywhere; PNGs are packed by Pillow, so that the same bytes come from the same release of it.

label-studio-sdk's converter writes one PNG for each label of each answer, for brush masks alone; tests compare pixels.
"""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.regions import Box, Ellipse, Mask, Polygon, Size
from syncd.exports.base import Format, Item, Source
from syncd.exports.geometry import filled, outline, pixels_of
from syncd.exports.pictures import Picture, classes, drawn_area, pictures, shapes
from syncd.training.extras import required

_MOST = 255


@dataclass(frozen=True, slots=True)
class _Painter:
    """Draws masks below `out`. `labels`: the number of each class. `told`: `instances.jsonl`, where it is wanted."""

    source: Source
    out: Path
    labels: dict[str, int]
    told: BinaryIO | None

    def all(self) -> None:
        """Every picture whose size is known."""
        for picture in pictures(self.source):
            size = picture.size
            if size is None:
                self.source.lose("an image without shapes whose size is unknown: its file is not here")
            else:
                picture.place(f"images/{picture.split}/{picture.name}")
                self._draw(picture, size)

    def _draw(self, picture: Picture, size: Size) -> None:
        image = required("PIL.Image", "images")
        path = f"{picture.split}/{picture.stem}.png"
        classed = image.new("P", (size.width, size.height), 0)
        classed.putpalette(_palette())
        single = image.new("I", (size.width, size.height), 0)  # Pillow draws nothing on I;16
        for number, (item, shape, stencil) in enumerate(_stencils(self.source, picture, size), 1):
            label = shape.labels[0]
            classed.paste(self.labels[label], None, stencil)
            if self.told:
                single.paste(number, None, stencil)
                self.told.write(_line(f"instances/{path}", number, label, item, shape.id))
        _save(classed, self.out / "masks" / path)
        if self.told:
            _save(single.convert("I;16"), self.out / "instances" / path)


def _write(source: Source, out: Path) -> None:
    labels = {label: number for number, label in enumerate(classes(source), 1)}
    if len(labels) > _MOST:
        raise Rejected(f"a mask of 8 bits holds {_MOST} classes; this version has {len(labels)}: use coco")
    named = {"0": "background", **{str(number): label for label, number in labels.items()}}
    (out / "classes.json").write_text(json.dumps(named, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    with (out / "instances.jsonl").open("wb") if _instances(source) else nullcontext() as told:
        _Painter(source, out, labels, told).all()


def _instances(source: Source) -> bool:
    said = source.options.get("instances", "false")
    if said not in {"true", "false"}:
        raise Rejected(f"instances={said}: give true or false")
    return said == "true"


def _stencils(source: Source, picture: Picture, size: Size) -> Iterator[tuple[Item, Any, Any]]:
    """Every shape once, and where it is."""
    last = None
    for item, shape, _ in shapes(source, picture, Box, Ellipse, Mask, Polygon):
        if shape is last:
            source.lose("a further label of a shape")
        elif stencil := _stencil(source, shape, size):
            yield item, shape, stencil
        last = shape


def _stencil(source: Source, shape: Any, size: Size) -> Any:
    """A picture of 1 bit, 1 where the shape is; None where it has no pixel."""
    if shape.size != size:
        source.lose("a shape on another size of its image")
        return None
    pixels = pixels_of(shape) if isinstance(shape, Mask) else filled(outline(shape), size)
    if 1 not in pixels:
        source.lose("a mask that is empty or damaged" if isinstance(shape, Mask) else "a shape without any pixel")
        return None
    image = required("PIL.Image", "images")
    return image.frombytes("L", (size.width, size.height), pixels.translate(_FULL)).convert("1", dither=0)


_FULL = bytes([0] + [255] * 255)


def _save(picture: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, "PNG", optimize=False)


def _line(file: str, number: int, label: str, item: Item, region: str) -> bytes:
    whose = {"annotation_id": item.row["annotation_id"], "region_id": region}
    return orjson.dumps({"file": file, "instance": number, "label": label, **whose}) + b"\n"


def _palette() -> list[int]:
    """The colours of Pascal VOC: bits of the number, spread over red, green and blue from the highest bit on."""
    return [
        sum(((number >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8))
        for number in range(256)
        for channel in range(3)
    ]


FORMAT = Format(
    "masks",
    "PNG masks, one number a pixel, for semantic segmentation",
    _write,
    drawn_area,
    media=True,
    options={"instances": "true writes a second PNG that numbers the shapes of each image"},
)
