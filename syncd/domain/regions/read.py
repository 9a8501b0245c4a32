"""Label Studio's result JSON, taken apart into regions.

Expects an answer that passed `domain.checks`. Entries that share an id belong to one region: a shape, the labels of
a separate Labels control, a transcription, choices or a rating of that region. Percent become pixels. An entry does
not say what it lies on, so that whole numbers without a `channel` are taken as characters of a text: Label Studio
writes the channel (and a recording's length) with every segment of audio.
https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
Value = Mapping[str, Any]

_ABOUT = frozenset({"choices", "taxonomy", "textarea", "number", "rating"})
"""Controls that answer: about a region whose id (and place) they repeat, else about the whole task."""


def read_regions(result: Iterable[JsonObject]) -> tuple[Region, ...]:
    """The regions of one answer, in its order. What has no neutral form comes as `Other`: nothing is dropped."""
    groups: dict[str, list[JsonObject]] = {}
    for index, entry in enumerate(result):
        relation = entry.get("type") == "relation"
        id_ = f"relation-{index}" if relation else str(entry.get("id") or f"region-{index}")
        groups.setdefault(id_, []).append(entry)
    return tuple(region for id_, entries in groups.items() for region in _joined(id_, entries))


def _joined(id_: str, entries: Sequence[JsonObject]) -> Iterator[Region]:
    """One region of the entries that share an id; what says nothing about it follows under an id of its own."""
    main = min(entries, key=_rank)
    region, apart = _region(id_, main), []
    for entry in entries:
        if entry is main:
            continue
        if isinstance(region, (Choice, Text, Number, Relation)) or not _adds(entry):
            apart.append(entry)
        else:
            region = _told(region, entry)
    yield region
    yield from (_region(f"{id_}-{number}", entry) for number, entry in enumerate(apart, start=2))


def _rank(entry: JsonObject) -> int:
    """Shapes before the labels for them, and these before answers about them."""
    kind = entry.get("type")
    return 2 if kind in _ABOUT else int(kind == "labels")


def _adds(entry: JsonObject) -> bool:
    """Whether an entry adds to the region of its id: an answer about it, or labels for it."""
    return entry.get("type") in _ABOUT or bool(_labels(_value(entry)))


def _told(region: Region, entry: JsonObject) -> Region:
    value, control = _value(entry), _control(entry)
    if entry.get("type") == "textarea":
        return replace(region, text=region.text + _texts(value))
    said = _labels(value)
    if entry.get("type") in _ABOUT:
        said = said or tuple(f"{value[name]}" for name in ("number", "rating") if name in value)
        return replace(region, choices={**region.choices, control: said})
    return replace(region, labels=tuple(dict.fromkeys(region.labels + said)), text=region.text + _texts(value))


def _region(id_: str, entry: JsonObject) -> Region:
    if entry.get("type") == "relation":
        labels = tuple(label for label in _list(entry.get("labels")) if isinstance(label, str))
        return Relation(id=id_, labels=labels, start=str(entry["from_id"]), end=str(entry["to_id"]))
    value, item = _value(entry), entry.get("item_index")
    common: Common = {
        "id": id_,
        "labels": _labels(value),
        "control": _control(entry),
        "item": item if isinstance(item, int) else 0,
        "text": _texts(value),
    }
    try:
        made = _shape(entry, value, common)
    except (KeyError, TypeError, ValueError, OverflowError):
        made = None  # on a page or in a video a shape need not say how many pixels there are
    return made or Other(**common, kind=str(entry.get("type", "")), raw=entry)


def _value(entry: JsonObject) -> Value:
    value = entry.get("value")
    return value if isinstance(value, dict) else {}


def _control(entry: JsonObject) -> str:
    return str(entry.get("from_name", ""))


def _list(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def _texts(value: Value) -> tuple[str, ...]:
    """A transcription; a span's own words are no list."""
    return tuple(text for text in _list(value.get("text")) if isinstance(text, str))


def _shape(entry: JsonObject, value: Value, common: Common) -> Region | None:
    """By what the value holds: `labels` and `rectanglelabels`, `textarea` and `choices` all carry the same places."""
    if "sequence" in value or "ranker" in value:
        return None
    for needed, build in _PLACES:
        if needed <= value.keys():
            return build(entry, value, common)
    return _whole(entry, value, common)


def _whole(entry: JsonObject, value: Value, common: Common) -> Region | None:
    for name in ("choices", "taxonomy"):
        if isinstance(value.get(name), list):
            paths = tuple(tuple(path) if isinstance(path, list) else (path,) for path in value[name])
            return Choice(**common, paths=paths)
    if entry.get("type") == "textarea":
        return Text(**common)
    for name in ("number", "rating"):
        if name in value:
            return Number(**common, value=float(value[name]))
    return None


def _labels(value: Value) -> tuple[str, ...]:
    for name, chosen in value.items():
        if isinstance(chosen, list) and (name in {"choices", "taxonomy"} or str(name).endswith("labels")):
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
    kind = str(entry.get("type", ""))
    if isinstance(start, str) or kind.startswith(("hypertext", "paragraph")):
        return None
    in_time = kind.startswith("timeseries") or "channel" in value or "original_length" in entry
    if in_time or isinstance(start, float) or isinstance(end, float):
        return Segment(**common, start=float(start), end=float(end))
    return Span(**common, start=int(start), end=int(end), words=words if isinstance(words, str) else "")


_Build = Callable[[JsonObject, Mapping[str, Any], Common], Region | None]
_PLACES: tuple[tuple[set[str], _Build], ...] = (
    ({"rle"}, _mask),
    ({"points"}, _polygon),
    ({"x", "y", "radiusX", "radiusY"}, _ellipse),
    ({"x", "y", "width", "height"}, _box),
    ({"x", "y"}, _keypoint),
    ({"start", "end"}, _stretch),
)
