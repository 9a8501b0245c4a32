"""YOLO: one text file of labels for each image, class names in `data.yaml`. https://docs.ultralytics.com/datasets/

Five numbers a line are a box, nine the four corners of an oriented one, any other even count of coordinates an
outline; all relative to the image, whose size is read from its file.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Box, Polygon, Region, Size
from syncd.imports.base import Item, controls, original_keys
from syncd.training.extras import required

_IMAGES = {".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def parse_yolo(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The images under the folder of a `data.yaml`, each with the lines of its label file; without one, nothing."""
    names, keys = _names(path), original_keys(path)
    for image in sorted(p for p in path.rglob("*") if p.suffix.lower() in _IMAGES):
        inside = image.relative_to(path)
        labels = path.joinpath(*("labels" if part == "images" else part for part in inside.parts)).with_suffix(".txt")
        size = _size(image)
        lines = labels.read_text().splitlines() if labels.is_file() else []
        regions = [_region(f"{labels.name}:{n}", line, names, size, config) for n, line in enumerate(lines, 1) if line]
        yield Item(keys.get(inside.as_posix()) or _key(inside), tuple(regions), str(inside))


def _key(inside: Path) -> str:
    """The path below `images/` and the split's folder."""
    parts = list(inside.parts)
    if "images" in parts:
        at = parts.index("images")
        parts = parts[at + 1 :] if at else parts[1:]
    return "/".join(parts[1:] if parts[0] in {"train", "val", "test"} and len(parts) > 1 else parts)


def _names(path: Path) -> Sequence[str]:
    file = next(iter(sorted(path.glob("*.y*ml"))), None)
    if file is None:
        raise Rejected(f"{path} has no data.yaml, which names the classes")
    names = (required("yaml", "import").safe_load(file.read_text()) or {}).get("names")
    if isinstance(names, dict):
        names = [names[index] for index in sorted(names)]
    if not isinstance(names, list) or not names:
        raise Rejected(f"{file} has no `names`: a list, or a mapping of numbers to names")
    return [str(name) for name in names]


def _size(image: Path) -> Size:
    pillow = required("PIL.Image", "import")
    try:
        with pillow.open(image) as opened:
            return Size(*opened.size)
    except OSError as error:
        raise Rejected(f"{image} cannot be read as an image: {error}") from None


def _region(where: str, line: str, names: Sequence[str], size: Size, config: LabelConfig) -> Region:
    try:
        kind, *numbers = line.split()
        values = [float(number) for number in numbers]
        labels = (names[int(kind)],)
    except (ValueError, IndexError):
        raise Rejected(f"{where}: {line!r} is no class number with coordinates, or a class data.yaml lacks") from None
    if len(values) == 4:
        x, y, width, height = (v * side for v, side in zip(values, (size.width, size.height) * 2, strict=True))
        return Box(labels=labels, x=x - width / 2, y=y - height / 2, width=width, height=height, size=size)
    if len(values) < 6 or len(values) % 2:
        raise Rejected(f"{where}: {len(values)} coordinates; a box has 4, an outline an even number from 6")
    points = [(x * size.width, y * size.height) for x, y in zip(values[::2], values[1::2], strict=True)]
    if len(points) == 4 and "polygonlabels" not in controls(config):
        return _oriented(points, labels, size)
    return Polygon(labels=labels, points=tuple(points), size=size)


def _oriented(points: Sequence[tuple[float, float]], labels: tuple[str, ...], size: Size) -> Box:
    """The box of four corners, the first of which is its top left before it was turned."""
    (x, y), (right_x, right_y), (bottom_x, bottom_y), _ = points
    width, height = math.dist((x, y), (right_x, right_y)), math.dist((right_x, right_y), (bottom_x, bottom_y))
    rotation = math.degrees(math.atan2(right_y - y, right_x - x)) % 360
    return Box(labels=labels, x=x, y=y, width=width, height=height, rotation=rotation, size=size)
