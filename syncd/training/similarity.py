"""How alike two answers to one task are, 0 to 1, control by control.

Called by `agreement`. Pure, but for shapely and numpy, which shapes on images need. By what a control takes:

- choices, taxonomy: Jaccard index of what was chosen; for a single choice that is 1 or 0.
- boxes, polygons, ellipses, brush masks: regions of equal labels are matched, then the sum of the matches' IoU over
  their number plus half the number of unmatched ones: Panoptic Quality (Kirillov et al., CVPR 2019, eq. 1) without its
  threshold of 0.5. Matched greedily, the best IoU first.
- spans of text, segments of time: the same, with the IoU of the intervals.
- keypoints: the same, where a point is right (1) within 5 % of the image's longer side, else wrong (0): PCK (Yang and
  Ramanan, TPAMI 2013).
- texts: token F1, as SQuAD has it (Rajpurkar et al., EMNLP 2016), white space separating tokens.
- numbers, ratings, and what has no neutral form: 1 where they are equal.

Relations, and what was said about one region alone (its text, its own choices), are not compared.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from syncd.domain.regions import (
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
    Span,
    Text,
)
from syncd.domain.regions.rle import read_mask
from syncd.training.extras import required

EXTRA = "agreement"
NEAR = 0.05
Regions = Sequence[Any]
Answer = Mapping[str, Regions]


def by_control(regions: Iterable[Region]) -> Answer:
    """An answer as its regions by control, those left out that are not compared."""
    found: dict[str, list[Region]] = {}
    for region in regions:
        if not isinstance(region, Relation):
            found.setdefault(region.control, []).append(region)
    return found


def similarity(one: Answer, two: Answer) -> float:
    """The mean over the controls that either used; 1 where neither said anything."""
    controls = one.keys() | two.keys()
    if not controls:
        return 1.0
    return sum(alike(one.get(name, ()), two.get(name, ())) for name in controls) / len(controls)


def alike(one: Regions, two: Regions) -> float:
    """The same for one control."""
    if not one or not two:
        return float(not one and not two)
    if type(one[0]) is not type(two[0]) and not {type(one[0]), type(two[0])} <= _SHAPES:
        return 0.0
    return _MEASURES[type(one[0])](one, two)


def measure_of(regions: Regions) -> str:
    """What `alike` computes for a control, in one word."""
    return _NAMES[type(regions[0])]


def chosen(regions: Regions) -> frozenset[object]:
    """What a choices or taxonomy control holds: each choice with its parents, by image where there are several."""
    return frozenset(
        (region.item, path) for region in regions for path in (region.paths or [(label,) for label in region.labels])
    )


def number(regions: Regions) -> float:
    """What a number or rating control holds."""
    return float(regions[-1].value)


# ---------------------------------------------------------------- answers about a whole task


def _jaccard(one: Regions, two: Regions) -> float:
    mine, yours = chosen(one), chosen(two)
    return len(mine & yours) / len(mine | yours) if mine | yours else 1.0


def _equal(one: Regions, two: Regions) -> float:
    return float(_bare(one) == _bare(two))


def _bare(regions: Regions) -> list[object]:
    return [region.raw.get("value") if isinstance(region, Other) else region.value for region in regions]


def _token_f1(one: Regions, two: Regions) -> float:
    mine, yours = _tokens(one), _tokens(two)
    total = mine.total() + yours.total()
    return 2 * (mine & yours).total() / total if total else 1.0


def _tokens(regions: Regions) -> Counter[str]:
    return Counter(token for region in regions for text in region.text for token in text.split())


# ---------------------------------------------------------------- regions


def _matched(one: Regions, two: Regions, overlaps: Callable[[Regions, Regions], Iterable[float]]) -> float:
    """Twice the sum of the matches' overlaps over the number of regions on both sides."""
    pairs = [(i, j) for i, a in enumerate(one) for j, b in enumerate(two) if _comparable(a, b)]
    scores = overlaps([one[i] for i, _ in pairs], [two[j] for _, j in pairs]) if pairs else ()
    total, mine, yours = 0.0, set[int](), set[int]()
    for score, (i, j) in sorted(zip(scores, pairs, strict=True), key=lambda match: (-match[0], match[1])):
        if i not in mine and j not in yours:
            mine.add(i)
            yours.add(j)
            total += score
    return 2 * float(total) / (len(one) + len(two))


def _comparable(a: Region, b: Region) -> bool:
    return a.item == b.item and set(a.labels) == set(b.labels)


def _intervals(one: Regions, two: Regions) -> list[float]:
    return [_interval(a.start, a.end, b.start, b.end) for a, b in zip(one, two, strict=True)]


def _interval(start: float, end: float, other_start: float, other_end: float) -> float:
    union = max(end, other_end) - min(start, other_start)
    shared = min(end, other_end) - max(start, other_start)
    return max(shared, 0.0) / union if union else 1.0


def _points(one: Regions, two: Regions) -> list[float]:
    return [float(_apart(a, b) <= NEAR * max(a.size.width, a.size.height)) for a, b in zip(one, two, strict=True)]


def _apart(a: Keypoint, b: Keypoint) -> float:
    return float(np.hypot(a.x - b.x, a.y - b.y))


def _shapes(one: Regions, two: Regions) -> list[float]:
    if any(isinstance(region, Mask) for region in (*one, *two)):
        return [_pixel_iou(a, b) for a, b in zip(one, two, strict=True)]
    shapely = required("shapely", EXTRA)
    mine, yours = (np.array([_outline(region) for region in regions], object) for regions in (one, two))
    shared = shapely.area(shapely.intersection(mine, yours))
    union = shapely.area(mine) + shapely.area(yours) - shared
    same = shapely.equals_exact(mine, yours)  # shapes without an area overlap where they are one
    return np.where(union > 0, shared / np.where(union > 0, union, 1), same).tolist()  # type: ignore[no-any-return]


def _outline(region: Box | Polygon | Ellipse) -> Any:
    shapely = required("shapely", EXTRA)
    affinity = required("shapely.affinity", EXTRA)
    match region:
        case Box(x=x, y=y):
            box = shapely.box(x, y, x + region.width, y + region.height)
            return affinity.rotate(box, region.rotation, origin=(x, y)) if region.rotation else box
        case Ellipse(x=x, y=y):
            circle = shapely.Point(x, y).buffer(1)
            wide = affinity.scale(circle, region.radius_x, region.radius_y, origin=(x, y))
            return affinity.rotate(wide, region.rotation, origin=(x, y))
    return shapely.make_valid(shapely.Polygon(region.points))


def _pixel_iou(a: Region, b: Region) -> float:
    if not (isinstance(a, Mask) and isinstance(b, Mask)):
        return 0.0
    mine, yours = _pixels(a.rle, a.size.width, a.size.height), _pixels(b.rle, b.size.width, b.size.height)
    if mine is None or yours is None or len(mine) != len(yours):
        return float(a.rle == b.rle)
    union = int(np.count_nonzero(mine | yours))
    return int(np.count_nonzero(mine & yours)) / union if union else 1.0


@lru_cache(maxsize=64)
def _pixels(rle: tuple[int, ...], width: int, height: int) -> Any:
    try:
        return np.frombuffer(read_mask(rle, width, height), np.uint8)
    except ValueError:  # no mask of that size: only equal to itself
        return None


def _iou(one: Regions, two: Regions) -> float:
    return _matched(one, two, _shapes)


def _interval_iou(one: Regions, two: Regions) -> float:
    return _matched(one, two, _intervals)


def _pck(one: Regions, two: Regions) -> float:
    return _matched(one, two, _points)


_SHAPES = {Box, Polygon, Ellipse, Mask}
_MEASURES: Mapping[type[Region], Callable[[Regions, Regions], float]] = {
    Choice: _jaccard,
    Number: _equal,
    Text: _token_f1,
    Other: _equal,
    **dict.fromkeys((Box, Polygon, Ellipse, Mask), _iou),
    Span: _interval_iou,
    Segment: _interval_iou,
    Keypoint: _pck,
}
_NAMES: Mapping[type[Region], str] = {
    Choice: "jaccard",
    Number: "equal",
    Text: "token F1",
    Other: "equal",
    **dict.fromkeys((Box, Polygon, Ellipse, Mask), "IoU"),
    Span: "span IoU",
    Segment: "segment IoU",
    Keypoint: "PCK",
}
