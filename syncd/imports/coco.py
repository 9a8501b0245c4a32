"""COCO: one JSON file with images, categories and annotations. https://cocodataset.org/#format-data

Outlines become polygons where the label config draws them, run-length masks brush strokes where it has a brush; both
become boxes elsewhere. Keypoints become points, called as the category calls them where the label config knows these
names. An image without annotations is an answer too: nothing is on it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.model import JsonObject
from syncd.domain.regions import Box, Keypoint, Mask, Polygon, Region, Size
from syncd.domain.regions.rle import write_mask
from syncd.imports.base import Item, controls, faulty, original_keys, within
from syncd.imports.coco_masks import pixels_of


def parse_coco(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The images of a COCO file (or of the one `*.json` in a folder), each with its annotations."""
    file = _file(path)
    content = _Content.of(file, config)
    keys = original_keys(file.parent)
    for id_, image in content.images.items():
        where = f"{file.name}: image {id_}"
        try:
            name = str(image["file_name"])
            yield Item(keys.get(name, name), tuple(content.regions(id_, image)), where)
        except Rejected as error:
            yield faulty(where, str(error))
        except (KeyError, TypeError, ValueError) as error:
            yield faulty(where, f"not as COCO has it: {type(error).__name__} {error}")
    for id_ in content.annotations.keys() - content.images.keys():
        lost = len(content.annotations[id_])
        yield faulty(f"{file.name}: image {id_}", f"the file does not list it, but {lost} annotations of it")


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(p for p in path.glob("*.json") if p.name != "manifest.json") or sorted(
        path.glob("annotations/*.json")
    )
    if len(found) != 1:
        raise Rejected(f"{path} holds {len(found)} JSON files; name the COCO file itself")
    return found[0]


@dataclass(frozen=True, slots=True)
class _Content:
    """The file's lists, by id; annotations by their image."""

    config: LabelConfig
    images: Mapping[Any, JsonObject]
    categories: Mapping[Any, JsonObject]
    annotations: Mapping[Any, Sequence[JsonObject]] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path, config: LabelConfig) -> "_Content":
        try:
            content = orjson.loads(file.read_bytes())
        except orjson.JSONDecodeError as error:
            raise Rejected(f"{file} is no JSON: {error}") from None
        lists = ("images", "categories", "annotations")
        if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in lists):
            raise Rejected(f"{file} is no COCO file: it needs the lists {', '.join(lists)}")
        annotations = defaultdict(list)
        try:
            images, categories = ({one["id"]: one for one in content[name]} for name in lists[:2])
            for annotation in content["annotations"]:
                annotations[annotation["image_id"]].append(annotation)
        except (KeyError, TypeError):
            raise Rejected(f"{file} is no COCO file: images and categories need an id, annotations image_id") from None
        if len(images) < len(content["images"]):
            raise Rejected(f"{file} has several images of one id")
        return cls(config, images, categories, annotations)

    def regions(self, id_: object, image: JsonObject) -> Iterator[Region]:
        """What is on an image, whose size matters only where there is something."""
        for annotation in self.annotations.get(id_, ()):
            size = Size(int(image["width"]), int(image["height"]))
            found = [*self._shapes(annotation, size), *self._points(annotation, size)]
            if not found:
                raise Rejected(f"annotation {annotation.get('id', '')} has no shape that the label config draws")
            yield from found

    def _shapes(self, annotation: JsonObject, size: Size) -> Iterator[Region]:
        kinds = controls(self.config)
        id_, outlines = str(annotation.get("id", "")), annotation.get("segmentation")
        labels = (str(self.categories[annotation["category_id"]]["name"]),)
        if isinstance(outlines, list) and outlines and "polygonlabels" in kinds:
            for number, flat in enumerate(outlines):
                points = tuple(zip(map(float, flat[::2]), map(float, flat[1::2]), strict=True))
                yield Polygon(id=f"{id_}-{number}" if number else id_, labels=labels, points=points, size=size)
        elif isinstance(outlines, dict) and "brushlabels" in kinds:
            rle = write_mask(pixels_of(outlines, size))
            yield Mask(id=id_, labels=labels, rle=rle, size=size)
        elif annotation.get("bbox") and "rectanglelabels" in kinds:
            x, y, width, height = map(float, annotation["bbox"])
            yield within(Box(id=id_, labels=labels, x=x, y=y, width=width, height=height, size=size))

    def _points(self, annotation: JsonObject, size: Size) -> Iterator[Region]:
        control = next((c for c in self.config.controls.values() if c.kind == "keypointlabels"), None)
        triples = annotation.get("keypoints") or ()
        if control is None:
            return
        category = self.categories[annotation["category_id"]]
        names = [name for name in category.get("keypoints") or () if name in control.labels]
        called = category["keypoints"] if names else ()
        for number, (x, y, seen) in enumerate(zip(triples[::3], triples[1::3], triples[2::3], strict=True)):
            if seen:
                label = str(called[number] if number < len(called) else category["name"])
                id_ = f"{annotation.get('id', '')}-point-{number}"
                yield Keypoint(id=id_, labels=(label,), x=float(x), y=float(y), size=size)
