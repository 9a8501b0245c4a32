"""What people drew, marked and chose, in neutral terms: between the annotator's JSON and everybody else's formats.

Used by exports, imports, the task view and its agreement. `read_regions` takes the annotator's result apart;
`write_regions` is its inverse; `shapes` are the values. Pure.
"""

from syncd.domain.regions.read import read_regions
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
from syncd.domain.regions.write import write_regions

__all__ = [
    "Box",
    "Choice",
    "Ellipse",
    "Keypoint",
    "Mask",
    "Number",
    "Other",
    "Polygon",
    "Region",
    "Relation",
    "Segment",
    "Size",
    "Span",
    "Text",
    "read_regions",
    "write_regions",
]
