"""Items by image: what all formats for images are made of.

An image is one version of one object, with all answers to it that the query gives (one, unless `tasks="all"`): so
no image is listed twice, and an object that was overwritten is two images. Order: that of `Source.items`.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import Control
from syncd.domain.regions import Box, Choice, Ellipse, Keypoint, Mask, Number, Other, Polygon, Region, Size, Text
from syncd.exports.base import Item, Source
from syncd.exports.beside import Beside, Identity, identity
from syncd.exports.geometry import size_of
from syncd.exports.names import stem
from syncd.training.extras import required

UNSPLIT = "train"
"""Where images without a split go: all data are to train on."""

_AREAS = {"rectangle", "polygon", "ellipse", "brush", "magicwand"}
_ROTATED = {5, 6, 7, 8}
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Picture:
    """One image. `name`: relative path, unique and safe, such as `cats/1.jpg`."""

    image: Identity
    name: str
    items: tuple[Item, ...]
    beside: Beside

    @property
    def stem(self) -> str:
        """The name without its extension; unique too."""
        return stem(self.name)

    @property
    def split(self) -> str:
        """The split it is in."""
        return self.items[0].row.get("split") or UNSPLIT

    @property
    def size(self) -> Size | None:
        """As its regions say, else its file; None where neither is there."""
        found = next((size for region in self.regions if not region.item and (size := size_of(region))), None)
        file = self.beside.file(self.image)
        return found or (size_in(file) if file else None)

    @property
    def regions(self) -> Iterator[Region]:
        """What was said in all answers."""
        return (region for item in self.items for region in item.regions)

    def place(self, path: str) -> str:
        """Put it there in the export; returns how to call it."""
        return self.beside.place(self.image, self.items, path)


def pictures(source: Source) -> Iterator[Picture]:
    """The images in order, without those whose object changed and that are to be skipped."""
    beside = source.beside
    assert beside is not None  # noqa: S101 - `run` gives one to formats with `media`
    by_image = groupby(source.items(), key=lambda item: identity(item.row))
    for done, (image, items) in enumerate(by_image, 1):
        if image not in beside.skipped:
            yield Picture(image, beside.names[image], tuple(items), beside)
        beside.advance(done)


def shapes(source: Source, picture: Picture, *kinds: type[Region]) -> Iterator[tuple[Item, Any, str]]:
    """What was drawn on an image, of these kinds: answer, shape and label, once for each label.

    What has no label, lies on another image of the task or is of another kind is lost, and told.
    """
    for item in picture.items:
        for region in item.regions:
            if region.item:
                source.lose("a shape on a further image of a task")
            elif not isinstance(region, kinds):
                source.lose(named(region))
            elif not region.labels:
                source.lose(f"{named(region)} without a label")
            else:
                yield from ((item, region, label) for label in region.labels)


def classes(source: Source) -> list[str]:
    """The labels of shapes (not of points): the label config's in its order, then, sorted, those only rows know."""
    known = [
        label
        for control in image_controls(source)
        if control.kind.endswith("labels") and control.kind != "keypointlabels"
        for label in control.labels
    ]
    if not source.used_labels <= set(known):
        areas = (region for region in _regions(source) if isinstance(region, Box | Ellipse | Mask | Polygon))
        known += sorted({label for region in areas for label in region.labels})
    return list(dict.fromkeys(known))


def point_controls(source: Source) -> dict[str, list[str]]:
    """The labels of points by control, as `classes`; also of controls that only rows know."""
    found = {c.name: list(c.labels) for c in image_controls(source) if c.kind == "keypointlabels"}
    points = {(r.control, label) for r in _regions(source) if isinstance(r, Keypoint) for label in r.labels}
    for control, label in sorted(points):
        if label not in found.setdefault(control, []):
            found[control].append(label)
    return {control: labels for control, labels in found.items() if labels}


def image_controls(source: Source) -> list[Control]:
    """The controls by which people answer about an image."""
    config = source.config
    images = {tag.name for tag in config.objects.values() if tag.kind == "image"} if config else set()
    return [control for control in config.controls.values() if images & set(control.to_name)] if config else []


def _regions(source: Source) -> Iterator[Region]:
    return (region for item in source.items() for region in item.regions)


def size_in(file: Path) -> Size:
    """The size of an image file as people saw it: turned as its EXIF says. Rejected: it is no image."""
    image = required("PIL.Image", "images")
    try:
        with image.open(file) as opened:
            width, height = opened.size
            turned = False
            with suppress(Exception):  # EXIF that cannot be read is as none
                turned = opened.getexif().get(_ORIENTATION) in _ROTATED
    except (OSError, image.DecompressionBombError) as error:
        raise Rejected(f"{file.name} is no image that can be read ({type(error).__name__})") from None
    return Size(height, width) if turned else Size(width, height)


def drawn(source: Source, kinds: Collection[str] = (*_AREAS, "keypoint")) -> str | None:
    """Why a format for shapes on images does not fit: None where people draw (one of `kinds`) on an image."""
    if source.config is None:
        found = any(size_of(region) for region in _regions(source))
        return None if found else "it needs shapes drawn on images; there are none"
    if any(control.kind.removesuffix("labels") in kinds for control in image_controls(source)):
        return None
    return f"it needs shapes drawn on images; people here {_asked(source)}"


def drawn_area(source: Source) -> str | None:
    """As `drawn`, for formats to which points alone are nothing."""
    return drawn(source, _AREAS)


def only_box(source: Source, shape: Region) -> None:
    """Tell what is lost of a shape of which only the upright box around it is written."""
    if not isinstance(shape, Box):
        source.lose(f"the outline of {named(shape)}: the box around it is written")
    elif shape.rotation:
        source.lose("the turn of a box: the upright box around it is written")


def _asked(source: Source) -> str:
    assert source.config is not None  # noqa: S101 - asked where there is one
    tags = dict.fromkeys(control.tag for control in source.config.controls.values())
    return f"answer {', '.join(tags) or 'nothing'} on {source.config.media_kind}"


def read_by_name(source: Source, picture: Picture, extensions: Collection[str], reader: str) -> None:
    """Tell where a reader finds images by the end of their name, and does not find this one."""
    if Path(picture.name).suffix.lower().removeprefix(".") not in extensions:
        source.lose(f"an image whose name {reader} does not take for an image's")


def named(region: Region) -> str:
    """`a box`, `an ellipse`, `a choice about the whole image`."""
    if isinstance(region, Other):
        return f"an answer of type {region.kind}"
    what = "an ellipse" if isinstance(region, Ellipse) else f"a {type(region).__name__.lower()}"
    return f"{what} about the whole image" if isinstance(region, Choice | Text | Number) else what
