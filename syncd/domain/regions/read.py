"""Label Studio's result JSON, taken apart into regions.

Expects an answer that passed `domain.checks`. Entries that share an id belong to one region: a shape, the labels of
a separate Labels control, a transcription, choices about that region. Percent become pixels.
https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from syncd.domain.model import JsonObject
from syncd.domain.regions.shapes import (
    Box,
    Choice,
    Ellipse,
    Keypoint,
    Mask,
    Number,
    Other,
    Polygon,
    Region,
    Relation,
    Segment,
    Size,
    Span,
    Text,
)

Common = dict[str, Any]


def read_regions(result: Iterable[JsonObject]) -> tuple[Region, ...]:
    """The regions of one answer, in its order. What has no neutral form comes as `Other`: nothing is dropped."""
    found: dict[str, Region] = {}
    for index, entry in enumerate(result):
        region = _region(entry, index)
        known = found.get(region.id)
        found[region.id if known is None else known.id] = region if known is None else _joined(known, region)
    return tuple(found.values())


def _joined(known: Region, more: Region) -> Region:
    """One region of two entries that share an id: the one with a place gives the shape."""
    shape, said = (more, known) if isinstance(known, (Choice, Text, Number)) else (known, more)
    choices = dict(said.choices)
    if isinstance(said, Choice):
        choices[said.control] = said.labels
    labels = shape.labels if isinstance(said, Choice) else tuple(dict.fromkeys(shape.labels + said.labels))
    return replace(shape, labels=labels, text=shape.text + said.text, choices={**shape.choices, **choices})


def _region(entry: JsonObject, index: int) -> Region:
    kind = str(entry.get("type", ""))
    if kind == "relation":
        labels = tuple(entry.get("labels") or ())
        return Relation(id=f"relation-{index}", labels=labels, start=str(entry["from_id"]), end=str(entry["to_id"]))
    value = entry.get("value") or {}
    common: Common = {
        "id": str(entry.get("id") or f"region-{index}"),
        "labels": _labels(value),
        "control": str(entry.get("from_name", "")),
        "item": int(entry.get("item_index") or 0),
    }
    if isinstance(value.get("text"), list):
        common["text"] = tuple(value["text"])
    made = _shape(entry, value, common)
    return made or Other(**common, kind=kind, raw=entry)


def _shape(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region | None:
    """By what the value holds: `labels` and `rectanglelabels`, `textarea` and `choices` all carry the same places."""
    if "sequence" in value or "ranker" in value:
        return None
    for needed, build in _PLACES:
        if needed <= value.keys():
            return build(entry, value, common)
    return _whole(entry, value, common)


def _whole(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region | None:
    for name in ("choices", "taxonomy"):
        if name in value:
            paths = tuple(tuple(path) if isinstance(path, list) else (path,) for path in value[name])
            return Choice(**common, paths=paths)
    if isinstance(value.get("text"), list):
        return Text(**common)
    for name in ("number", "rating"):
        if name in value:
            return Number(**common, value=float(value[name]))
    return None


def _labels(value: Mapping[str, Any]) -> tuple[str, ...]:
    for name, chosen in value.items():
        if isinstance(chosen, list) and (name in {"choices", "taxonomy"} or name.endswith("labels")):
            leaves = (entry[-1] if isinstance(entry, list) and entry else entry for entry in chosen)
            return tuple(leaf for leaf in leaves if isinstance(leaf, str))
    return ()


def _size(entry: JsonObject) -> Size:
    return Size(int(entry["original_width"]), int(entry["original_height"]))


def _scaled(entry: JsonObject, value: Mapping[str, Any], across: str, down: str) -> tuple[float, float]:
    size = _size(entry)
    return value[across] * size.width / 100, value[down] * size.height / 100


def _box(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region:
    x, y = _scaled(entry, value, "x", "y")
    width, height = _scaled(entry, value, "width", "height")
    rotation = float(value.get("rotation") or 0)
    return Box(**common, x=x, y=y, width=width, height=height, rotation=rotation, size=_size(entry))


def _polygon(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region:
    size = _size(entry)
    points = tuple((x * size.width / 100, y * size.height / 100) for x, y in value["points"])
    return Polygon(**common, points=points, size=size)


def _ellipse(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region:
    x, y = _scaled(entry, value, "x", "y")
    radius_x, radius_y = _scaled(entry, value, "radiusX", "radiusY")
    rotation = float(value.get("rotation") or 0)
    return Ellipse(**common, x=x, y=y, radius_x=radius_x, radius_y=radius_y, rotation=rotation, size=_size(entry))


def _keypoint(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region:
    x, y = _scaled(entry, value, "x", "y")
    return Keypoint(**common, x=x, y=y, size=_size(entry))


def _mask(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region:
    return Mask(**common, rle=tuple(value["rle"]), size=_size(entry))


def _stretch(entry: JsonObject, value: Mapping[str, Any], common: Common) -> Region | None:
    """Characters of a text, or seconds of a recording. Spans by XPath or paragraph have no plain offsets."""
    start, end, words = value["start"], value["end"], value.get("text")
    if isinstance(start, str) or str(entry.get("type", "")).startswith(("hypertext", "paragraph")):
        return None
    if isinstance(words, str):
        return Span(**common, start=int(start), end=int(end), words=words)
    in_time = words is not None or "channel" in value or "original_length" in entry or isinstance(start, float)
    if in_time:
        return Segment(**common, start=float(start), end=float(end))
    return Span(**common, start=int(start), end=int(end))


_Build = Callable[[JsonObject, Mapping[str, Any], Common], Region | None]
_PLACES: tuple[tuple[set[str], _Build], ...] = (
    ({"rle"}, _mask),
    ({"points"}, _polygon),
    ({"x", "y", "radiusX", "radiusY"}, _ellipse),
    ({"x", "y", "width", "height"}, _box),
    ({"x", "y"}, _keypoint),
    ({"start", "end"}, _stretch),
)
