"""The values: one class for each thing a person can say about an image, a text, a recording or a whole task.

Images: pixels of the original image, origin top left, as floats; rotation in degrees, clockwise, about the
shape's top left corner (a box) or its centre (an ellipse). Text: offsets in characters (Unicode code points).
Time: seconds.
"""

from dataclasses import dataclass, field

from syncd.domain.model import JsonObject


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of an image in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What all have: an id that is unique in one answer, the labels given, and the control that was used.

    `text` is a transcription tied to the region; `choices` are answers about this region alone, by control.
    `item` is the index of the image where a task shows several.
    """

    id: str = ""
    labels: tuple[str, ...] = ()
    control: str = ""
    text: tuple[str, ...] = ()
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    item: int = 0

    @property
    def label(self) -> str | None:
        """The first label; None where it has none."""
        return self.labels[0] if self.labels else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Region):
    """A rectangle; `rotation` turns it about (x, y)."""

    x: float
    y: float
    width: float
    height: float
    rotation: float = 0.0
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygon(Region):
    """A closed outline, at least three points."""

    points: tuple[tuple[float, float], ...]
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipse(Region):
    """Centre and radii; `rotation` turns it about its centre."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    rotation: float = 0.0
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypoint(Region):
    """One point."""

    x: float
    y: float
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask(Region):
    """A brush mask: `rle` is Label Studio's run-length encoding of RGBA bytes; the last channel is the mask."""

    rle: tuple[int, ...]
    size: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Span(Region):
    """Characters `start` up to, not including, `end` of a text; `words` is what stands there, where known."""

    start: int
    end: int
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Region):
    """A stretch of time of a recording or a series."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Region):
    """A classification of the whole task. `paths`: for nested choices and taxonomies, each choice with its parents."""

    paths: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Region):
    """Text about the whole task (in `text`): a caption, a transcription, a translation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Region):
    """A number or a rating of the whole task."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation(Region):
    """A directed link between two regions by their ids."""

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Other(Region):
    """What has no neutral form (video tracks, rankings, pairs …): as the annotator wrote it. `kind` is its type."""

    kind: str
    raw: JsonObject
