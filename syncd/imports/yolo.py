"""YOLO: one text file of labels for each image, class names in `data.yaml`. https://docs.ultralytics.com/datasets/

Five numbers a line are a box, nine the four corners of an oriented one, any other even count of coordinates an
outline; all relative to the image, whose size is read from its file.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.regions import Box, Polygon, Region, Size
from syncd.imports.base import Item, controls, faulty, original_keys, within
from syncd.training.extras import required

_IMAGES = {".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def parse_yolo(path: Path, config: LabelConfig) -> Iterator[Item]:
    """The images under the folder of a `data.yaml`, each with the lines of its label file; without one, nothing."""
    path = path.parent if path.is_file() else path
    names, keys = _names(path), original_keys(path)
    used = set()
    for image in sorted(p for p in path.rglob("*") if p.suffix.lower() in _IMAGES):
        inside = image.relative_to(path)
        labels = path.joinpath(*("labels" if part == "images" else part for part in inside.parts)).with_suffix(".txt")
        used.add(labels)
        try:
            regions = tuple(_regions(labels, image, names, config))
            yield Item(keys.get(inside.as_posix()) or _key(inside), regions, str(inside))
        except (Rejected, UnicodeDecodeError) as error:
            yield faulty(str(inside), str(error))
    for labels in sorted({p for p in path.rglob("*.txt") if "labels" in p.relative_to(path).parts} - used):
        yield faulty(str(labels.relative_to(path)), "its image is not there, whose size it needs")


def _regions(labels: Path, image: Path, names: Mapping[int, str], config: LabelConfig) -> Iterator[Region]:
    size = _size(image)
    lines = labels.read_text(encoding="utf-8").splitlines() if labels.is_file() else []
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _region(f"{labels.name}:{number}", line, names, size, config)


def _key(inside: Path) -> str:
    """The path below `images/` and the split's folder."""
    parts = list(inside.parts)
    if "images" in parts:
        at = parts.index("images")
        parts = parts[at + 1 :] if at else parts[1:]
    return "/".join(parts[1:] if parts[0] in {"train", "val", "test"} and len(parts) > 1 else parts)


def _names(path: Path) -> Mapping[int, str]:
    file = next(iter(sorted(path.glob("*.y*ml"))), None)
    if file is None:
        raise Rejected(f"{path} has no data.yaml, which names the classes")
    yaml = required("yaml", "import")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Rejected(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    names = content.get("names") if isinstance(content, dict) else None
    numbered = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(numbered, dict) or not numbered or not all(isinstance(number, int) for number in numbered):
        raise Rejected(f"{file} has no `names`: a list, or a mapping of numbers to names")
    return {number: str(name) for number, name in numbered.items()}


def _size(image: Path) -> Size:
    pillow = required("PIL.Image", "import")
    try:
        with pillow.open(image) as opened:
            return Size(*opened.size)
    except (OSError, pillow.DecompressionBombError) as error:
        raise Rejected(f"{image} cannot be read as an image: {error}") from None


def _region(where: str, line: str, names: Mapping[int, str], size: Size, config: LabelConfig) -> Region:
    try:
        kind, *numbers = line.split()
        values = [float(number) for number in numbers]
        labels = (names[int(kind)],)
    except (ValueError, KeyError):
        raise Rejected(f"{where}: {line!r} is no class number with coordinates, or a class data.yaml lacks") from None
    if len(values) == 4:
        x, y, width, height = (v * side for v, side in zip(values, (size.width, size.height) * 2, strict=True))
        return within(Box(labels=labels, x=x - width / 2, y=y - height / 2, width=width, height=height, size=size))
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
