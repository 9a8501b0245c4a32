"""Rules for shapes on images and boxes in videos.

Called by `values` only. Coordinates are percent of the image, 0 to 100, origin top left.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from syncd.domain.checks.regions import (
    InvalidRegionError,
    Region,
    entries,
    number,
    objects,
    require,
    shown,
    text,
    whole,
)

EPSILON = 0.1
"""Percent that a shape may stick out by: rounding in browsers and exporters, a pixel in a thousand."""


def sized(shape: Callable[[Region], None]) -> Callable[[Region], None]:
    """A rule for shapes on images: percent say nothing without the size of the image."""

    def rule(region: Region) -> None:
        if region.on == "image":
            for name in ("original_width", "original_height"):
                require(number(region.raw, name) >= 1, f"{name} must be 1 or more")
        shape(region)

    return rule


def _point(value: Mapping[str, Any]) -> None:
    number(value, "x", -EPSILON, 100)
    number(value, "y", -EPSILON, 100)


def _rotation(value: Mapping[str, Any]) -> float:
    return number(value, "rotation", -360, 360) if value.get("rotation") is not None else 0.0


def rectangle(region: Region) -> None:
    """A box; where it is rotated its corners may stick out, its centre may not."""
    value = region.value
    x, y = number(value, "x", high=100), number(value, "y", high=100)
    width, height = number(value, "width", 0, 100), number(value, "height", 0, 100)
    angle = _rotation(value)
    if angle % 360:
        _require_centre(region, (x, y), (width / 2, height / 2), math.radians(angle))
        return
    require(x >= -EPSILON and y >= -EPSILON, f"x {x:g} and y {y:g} must not be negative")
    require(x + width <= 100 + EPSILON, f"x + width {x + width:g} must be at most 100")
    require(y + height <= 100 + EPSILON, f"y + height {y + height:g} must be at most 100")


def _require_centre(region: Region, corner: tuple[float, float], half: tuple[float, float], angle: float) -> None:
    """The box turns about its corner, in pixels: percent across and down differ by the image's aspect."""
    aspect = 1.0
    if region.on == "image":
        aspect = number(region.raw, "original_width") / number(region.raw, "original_height")
    x = corner[0] + half[0] * math.cos(angle) - half[1] / aspect * math.sin(angle)
    y = corner[1] + half[0] * aspect * math.sin(angle) + half[1] * math.cos(angle)
    inside = all(-EPSILON <= centre <= 100 + EPSILON for centre in (x, y))
    require(inside, f"the centre of the rotated box, {x:g}, {y:g}, must be inside the image")


def polygon(region: Region) -> None:
    """At least three points."""
    for point in entries(region.value, "points", least=3):
        if not isinstance(point, list) or len(point) != 2:
            raise InvalidRegionError(f"point {shown(point)} must be a pair of numbers")
        _point({"x": point[0], "y": point[1]})


def ellipse(region: Region) -> None:
    """Centre and two radii."""
    _point(region.value)
    number(region.value, "radiusX", 0, 50)
    number(region.value, "radiusY", 0, 50)
    _rotation(region.value)


def keypoint(region: Region) -> None:
    """One point."""
    _point(region.value)


def vector(region: Region) -> None:
    """A line through vertices."""
    for vertex in objects(region.value, "vertices"):
        _point(vertex)


def brush(region: Region) -> None:
    """A run-length encoded mask as bytes."""
    require(region.value.get("format", "rle") == "rle", "format must be rle")
    for byte in entries(region.value, "rle"):
        if type(byte) is not int or not 0 <= byte <= 255:
            raise InvalidRegionError(f"rle byte {shown(byte)} must be a whole number, 0 to 255")


def bitmask(region: Region) -> None:
    """A mask as the data URL of a picture."""
    text(region.value, "imageDataURL")


def ocr_box(region: Region) -> None:
    """A box on a page."""
    for name in ("x", "y"):
        number(region.value, name)
    for name in ("width", "height"):
        number(region.value, name, 0)


def video_boxes(region: Region) -> None:
    """Boxes on key frames; between them Label Studio fills in. They may leave the frame as the object does."""
    whole(region.value, "framesCount")
    number(region.value, "duration", 0)
    for box in objects(region.value, "sequence"):
        whole(box, "frame")
        number(box, "time")
        for name in ("x", "y"):
            number(box, name, high=100)
        for name in ("width", "height"):
            number(box, name, 0, 100)
        _rotation(box)


def video_vectors(region: Region) -> None:
    """Lines on key frames."""
    for frame in objects(region.value, "sequence"):
        whole(frame, "frame")
        for vertex in objects(frame, "vertices"):
            number(vertex, "x")
            number(vertex, "y")
