"""COCO: one JSON file with images, categories and annotations. https://cocodataset.org/#format-data

Outlines become polygons where the label config draws them, else boxes; run-length masks become brush strokes where it
has a brush. An image without annotations is an answer too: nothing is on it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import orjson

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.model import JsonObject
from syncd.domain.regions import Box, Keypoint, Polygon, Region, Size
from syncd.imports.base import Item, controls, original_keys


def parse_coco(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The images of a COCO file (or of the one `*.json` in a folder), each with its annotations."""
    file = _file(path)
    content = _content(file)
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    by_image: dict[Any, list[JsonObject]] = defaultdict(list)
    for annotation in content["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    kinds, keys = controls(config), original_keys(file.parent)
    for image in content["images"]:
        where = f"{file.name}: image {image.get('id')}"
        try:
            size = Size(int(image["width"]), int(image["height"]))
            regions = [r for a in by_image[image["id"]] for r in _regions(a, names, size, kinds)]
            name = str(image["file_name"])
            yield Item(keys.get(name, name), tuple(regions), where)
        except (KeyError, TypeError, ValueError) as error:
            raise Rejected(f"{where} is not as COCO has it: {type(error).__name__} {error}") from None


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(p for p in path.glob("*.json") if p.name != "manifest.json") or sorted(
        path.glob("annotations/*.json")
    )
    if len(found) != 1:
        raise Rejected(f"{path} holds {len(found)} JSON files; name the COCO file itself")
    return found[0]


def _content(file: Path) -> JsonObject:
    try:
        content = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise Rejected(f"{file} is no JSON: {error}") from None
    lists = ("images", "categories", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in lists):
        raise Rejected(f"{file} is no COCO file: it needs the lists {', '.join(lists)}")
    return content


def _regions(annotation: JsonObject, names: Mapping[Any, str], size: Size, kinds: Set[str]) -> Iterator[Region]:
    labels = (names[annotation["category_id"]],)
    id_ = str(annotation.get("id", ""))
    outlines = annotation.get("segmentation")
    if isinstance(outlines, list) and outlines and "polygonlabels" in kinds:
        for number, flat in enumerate(outlines):
            points = tuple(zip(map(float, flat[::2]), map(float, flat[1::2]), strict=True))
            yield Polygon(id=f"{id_}-{number}" if number else id_, labels=labels, points=points, size=size)
    elif annotation.get("bbox") and "rectanglelabels" in kinds:
        x, y, width, height = map(float, annotation["bbox"])
        yield Box(id=id_, labels=labels, x=x, y=y, width=width, height=height, size=size)
    elif annotation.get("keypoints") and "keypointlabels" in kinds:
        triples = annotation["keypoints"]
        for number, (x, y, seen) in enumerate(zip(triples[::3], triples[1::3], triples[2::3], strict=True)):
            if seen:
                yield Keypoint(id=f"{id_}-{number}", labels=labels, x=float(x), y=float(y), size=size)
    else:
        raise ValueError(f"annotation {id_} has no shape that the label config draws")
