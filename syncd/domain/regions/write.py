"""Regions into Label Studio's result JSON, by the controls of a label config: the inverse of `read`.

Used by imports (and by whoever has a model's outputs). The control is chosen by the region's kind and labels, so a
label that no control of that kind has is an error, not a guess.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import Control, LabelConfig
from syncd.domain.model import JsonObject
from syncd.domain.regions.shapes import (
    Box,
    Choice,
    Ellipse,
    Keypoint,
    Mask,
    Number,
    Polygon,
    Region,
    Segment,
    Size,
    Span,
    Text,
)

_KINDS: dict[type[Region], tuple[str, ...]] = {
    Box: ("rectanglelabels", "rectangle"),
    Polygon: ("polygonlabels", "polygon"),
    Ellipse: ("ellipselabels", "ellipse"),
    Keypoint: ("keypointlabels", "keypoint"),
    Mask: ("brushlabels", "brush"),
    Span: ("labels", "hypertextlabels"),
    Segment: ("labels", "timeserieslabels"),
    Choice: ("choices", "taxonomy"),
    Text: ("textarea",),
    Number: ("number", "rating"),
}
"""Which controls draw or take what, the preferred first."""


def write_regions(regions: Iterable[Region], config: LabelConfig) -> tuple[JsonObject, ...]:
    """The result JSON of one answer. Rejected: no control of the label config takes such a region or its label."""
    return tuple(entry for index, region in enumerate(regions) for entry in _entries(region, index, config))


def _entries(region: Region, index: int, config: LabelConfig) -> Iterable[JsonObject]:
    control, size = _control(region, config), getattr(region, "size", None)
    if size is not None and min(size.width, size.height) < 1:
        raise Rejected(f"an image of {size.width} x {size.height} pixels has no place for shapes")
    id_ = region.id or f"region-{index + 1}"
    common = {"id": id_, "from_name": control.name, "to_name": control.to_name[0]}
    place, sizes = _PLACES[type(region)](region)
    yield {**common, "type": control.kind, **sizes, "value": {**place, **_said(region, control)}}
    transcription = next((c for c in config.controls.values() if c.kind == "textarea"), None)
    if region.text and not isinstance(region, Text) and transcription:
        by = {"id": id_, "from_name": transcription.name, "to_name": transcription.to_name[0], "type": "textarea"}
        yield {**by, **sizes, "value": {**place, "text": list(region.text)}}


def _control(region: Region, config: LabelConfig) -> Control:
    """The first control of the kind that has all the region's labels."""
    kind = type(region).__name__.lower()
    fitting = [c for name in _KINDS.get(type(region), ()) for c in config.controls.values() if c.kind == name]
    if not fitting:
        raise Rejected(f"the label config has no control for a {kind}")
    for control in fitting:
        if not control.labels or control.dynamic or set(region.labels) <= set(control.labels):
            return control
    unknown = ", ".join(sorted(set(region.labels) - {label for control in fitting for label in control.labels}))
    there = ", ".join(dict.fromkeys(label for control in fitting for label in control.labels))
    raise Rejected(f"the label config has no label {unknown or region.labels} for a {kind}; it has: {there}")


def _said(region: Region, control: Control) -> dict[str, Any]:
    """What was answered, under the name that the control's kind uses."""
    if isinstance(region, Text):
        return {"text": list(region.text)}
    if isinstance(region, Number):
        return {control.kind: region.value}
    if control.kind == "taxonomy" and isinstance(region, Choice):
        return {"taxonomy": [list(path) for path in region.paths or [(label,) for label in region.labels]]}
    return {control.kind: list(region.labels)} if region.labels else {}


_Place = tuple[dict[str, Any], dict[str, Any]]


def _on_image(size: Size, place: Mapping[str, Any]) -> _Place:
    return dict(place), {"original_width": size.width, "original_height": size.height, "image_rotation": 0}


def _percent(size: Size, **pixels: float) -> dict[str, float]:
    """By name: x and width are of the width, y and height of the height."""
    across = {"x", "width", "radiusX"}
    return {name: value * 100 / (size.width if name in across else size.height) for name, value in pixels.items()}


def _box(box: Box) -> _Place:
    place = _percent(box.size, x=box.x, y=box.y, width=box.width, height=box.height)
    return _on_image(box.size, {**place, "rotation": box.rotation})


def _polygon(polygon: Polygon) -> _Place:
    points = [list(_percent(polygon.size, x=x, y=y).values()) for x, y in polygon.points]
    return _on_image(polygon.size, {"points": points, "closed": True})


def _ellipse(ellipse: Ellipse) -> _Place:
    radii = {"radiusX": ellipse.radius_x, "radiusY": ellipse.radius_y}
    place = _percent(ellipse.size, x=ellipse.x, y=ellipse.y, **radii)
    return _on_image(ellipse.size, {**place, "rotation": ellipse.rotation})


def _keypoint(point: Keypoint) -> _Place:
    return _on_image(point.size, {**_percent(point.size, x=point.x, y=point.y), "width": 0.5})


def _mask(mask: Mask) -> _Place:
    return _on_image(mask.size, {"format": "rle", "rle": list(mask.rle)})


def _span(span: Span) -> _Place:
    return {"start": span.start, "end": span.end, "text": span.words}, {}


def _segment(segment: Segment) -> _Place:
    return {"start": segment.start, "end": segment.end, "channel": 0}, {}


def _nowhere(_: Region) -> _Place:
    return {}, {}


_PLACES: Mapping[type[Region], Callable[[Any], _Place]] = {
    Box: _box,
    Polygon: _polygon,
    Ellipse: _ellipse,
    Keypoint: _keypoint,
    Mask: _mask,
    Span: _span,
    Segment: _segment,
    Choice: _nowhere,
    Text: _nowhere,
    Number: _nowhere,
}
