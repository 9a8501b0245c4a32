"""Shapes on an image as what other formats have: an outline, the box around, four corners, an area, a mask of pixels.

Pure, except that shapely is asked for what is more than a formula. Pixels, origin top left, y down; turns are
clockwise as one sees them. An ellipse becomes a polygon of `ELLIPSE` corners on it (its area is 0.2 % smaller).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from syncd.domain.regions import Box, Ellipse, Keypoint, Mask, Polygon, Region, Size
from syncd.domain.regions.rle import read_mask
from syncd.training.extras import required

ELLIPSE = 64
Point = tuple[float, float]
Shape = Box | Ellipse | Keypoint | Mask | Polygon


def size_of(region: Region) -> Size | None:
    """The size of the image that a region lies on; None for regions that have no place on an image."""
    return region.size if isinstance(region, Box | Ellipse | Keypoint | Mask | Polygon) else None


def outline(shape: Box | Ellipse | Polygon) -> list[Point]:
    """The corners in drawing order; those of a box clockwise, from what was its top left corner."""
    if isinstance(shape, Polygon):
        return list(shape.points)
    if isinstance(shape, Ellipse):
        return _around(shape)
    return _turned(shape, [(0, 0), (shape.width, 0), (shape.width, shape.height), (0, shape.height)])


def _around(ellipse: Ellipse) -> list[Point]:
    turns = (2 * math.pi * step / ELLIPSE for step in range(ELLIPSE))
    return _turned(ellipse, [(ellipse.radius_x * math.cos(a), ellipse.radius_y * math.sin(a)) for a in turns])


def _turned(shape: Box | Ellipse, offsets: Iterable[Point]) -> list[Point]:
    angle = math.radians(shape.rotation)
    cos, sin = (math.cos(angle), math.sin(angle)) if shape.rotation else (1.0, 0.0)
    return [(shape.x + x * cos - y * sin, shape.y + x * sin + y * cos) for x, y in offsets]


def corners(shape: Box | Ellipse | Mask | Polygon, pixels: bytes = b"") -> list[Point]:
    """The four corners, clockwise, of the (turned) box around; the smallest one for polygons and masks."""
    if isinstance(shape, Box):
        return outline(shape)
    if isinstance(shape, Ellipse):
        x, y = shape.radius_x, shape.radius_y
        return _turned(shape, [(-x, -y), (x, -y), (x, y), (-x, y)])
    points = outline(shape) if isinstance(shape, Polygon) else _edges(pixels, shape.size)
    return _smallest_box(points)


def _smallest_box(points: Sequence[Point]) -> list[Point]:
    shapely = required("shapely")
    found = shapely.MultiPoint(points).minimum_rotated_rectangle
    if found.geom_type != "Polygon":  # all points on a line
        x, y, width, height = around(points)
        return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    # shapely counts y upwards: clockwise to the eye, y down, is its counter-clockwise
    ring = list(shapely.geometry.polygon.orient(found).exterior.coords)[:4]
    first = min(range(4), key=lambda index: (round(ring[index][1], 3), round(ring[index][0], 3)))
    return [(float(x), float(y)) for x, y in ring[first:] + ring[:first]]


def _edges(pixels: bytes, size: Size) -> list[Point]:
    """The outermost corners of the pixels of every row."""
    points: list[Point] = []
    for y in range(size.height):
        row = pixels[y * size.width : (y + 1) * size.width]
        if 1 in row:
            left, right = row.index(1), row.rindex(1) + 1
            points += [(left, y), (right, y), (left, y + 1), (right, y + 1)]
    return points


def around(points: Sequence[Point]) -> tuple[float, float, float, float]:
    """Left, top, width and height of the upright box around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def bounds(shape: Shape, pixels: bytes = b"") -> tuple[float, float, float, float]:
    """Left, top, width and height of the upright box around a shape, exactly."""
    match shape:
        case Keypoint():
            return shape.x, shape.y, 0.0, 0.0
        case Mask():
            return around(_edges(pixels, shape.size))
        case Ellipse():
            cos, sin = math.cos(math.radians(shape.rotation)), math.sin(math.radians(shape.rotation))
            across = math.hypot(shape.radius_x * cos, shape.radius_y * sin)
            down = math.hypot(shape.radius_x * sin, shape.radius_y * cos)
            return shape.x - across, shape.y - down, 2 * across, 2 * down
        case Box(rotation=0):
            return shape.x, shape.y, shape.width, shape.height
    return around(outline(shape))


def area(points: Sequence[Point]) -> float:
    """The area inside corners (the shoelace formula)."""
    following = [*points[1:], points[0]]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(points, following, strict=True))) / 2


def pixels_of(mask: Mask) -> bytes:
    """One byte a pixel, row by row: 1 where the mask is. Empty where the mask is damaged or has no pixel."""
    try:
        pixels = read_mask(mask.rle, mask.size.width, mask.size.height)
    except ValueError:
        return b""
    return pixels if 1 in pixels else b""


def filled(points: Sequence[Point], size: Size) -> bytes:
    """One byte a pixel, row by row: 1 where the pixel's centre is inside the corners (even-odd rule).

    Pillow's polygons have a pixel too many at some edges, and change with its releases.
    """
    rows = bytearray(size.width * size.height)
    _, top, _, height = around(points)
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    for row in range(max(math.floor(top), 0), min(math.ceil(top + height), size.height)):
        y = row + 0.5
        cuts = sorted(a + (y - b) * (c - a) / (d - b) for (a, b), (c, d) in edges if (b <= y) != (d <= y))
        for left, right in zip(cuts[::2], cuts[1::2], strict=True):
            first, end = (min(max(math.ceil(x - 0.5), 0), size.width) for x in (left, right))
            start = row * size.width
            rows[start + first : start + end] = b"\x01" * max(end - first, 0)
    return bytes(rows)


def parts(pixels: bytes, size: Size) -> list[Any]:
    """The connected parts of a mask as shapely polygons along the pixels' edges, from top left on."""
    shapely = required("shapely")
    runs = []
    for y in range(size.height):
        row, x = pixels[y * size.width : (y + 1) * size.width], 0
        while (start := row.find(1, x)) >= 0:
            end = row.find(0, start)
            x = end if end >= 0 else size.width
            runs.append(shapely.box(start, y, x, y + 1))
    merged = shapely.union_all(runs)
    found = getattr(merged, "geoms", [merged])
    return sorted(found, key=lambda part: (part.bounds[1], part.bounds[0]))


def inside(points: Sequence[Point], size: Size) -> list[list[Point]]:
    """A polygon cut to the image: usually as it is, sometimes several, none where it lies outside."""
    if all(0 <= x <= size.width and 0 <= y <= size.height for x, y in points):
        return [list(points)]
    shapely = required("shapely")
    cut = shapely.make_valid(shapely.Polygon(points)).intersection(shapely.box(0, 0, size.width, size.height))
    found = [part for part in getattr(cut, "geoms", [cut]) if part.geom_type == "Polygon" and not part.is_empty]
    return [list(part.exterior.coords)[:-1] for part in sorted(found, key=lambda part: part.bounds)]
