"""Ultralytics' rules for a dataset, written from its documentation: what it would find, or refuse.

https://docs.ultralytics.com/datasets/detect, /datasets/segment, /datasets/obb. A label file lies where `images` in the
image's path is `labels`, the last such folder. A line is a class and numbers from 0 to 1: four for a box, at least six
for an outline, eight for a turned box; an image with any other line is left out as corrupt. `train` and `val` are
required.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

SUFFIXES = {".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp", ".pfm", ".heic"}


@dataclass(frozen=True)
class Line:
    """One object."""

    label: str
    numbers: tuple[float, ...]


def load(folder: Path, kind: str) -> dict[str, dict[str, list[Line]]]:
    """Split → image (path below the folder) → objects. AssertionError: Ultralytics would refuse it."""
    data = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    assert {"train", "val", "names"} <= data.keys()
    assert sorted(data["names"]) == list(range(data["nc"]))
    assert "path" not in data  # else it is looked for below the reader's own folder of datasets
    splits = [name for name in data if name not in {"names", "nc"}]
    return {split: _images(folder, folder / data[split], data["names"], kind) for split in splits}


def _images(folder: Path, images: Path, names: dict[int, str], kind: str) -> dict[str, list[Line]]:
    assert images.is_dir()
    found = sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)
    return {str(path.relative_to(folder)): _lines(_label_file(path), names, kind) for path in found}


def _label_file(image: Path) -> Path:
    return Path("/labels/".join(str(image).rsplit("/images/", 1))).with_suffix(".txt")


def _lines(file: Path, names: dict[int, str], kind: str) -> list[Line]:
    lines = [_line(text.split(), names) for text in file.read_text(encoding="utf-8").splitlines()]
    assert len(set(lines)) == len(lines)
    for line in lines:
        _check(line.numbers, kind)
    return lines


def _line(parts: list[str], names: dict[int, str]) -> Line:
    return Line(names[int(parts[0])], tuple(map(float, parts[1:])))


def _check(numbers: tuple[float, ...], kind: str) -> None:
    assert all(0 <= number <= 1 for number in numbers)
    count = len(numbers)
    if kind == "yolo":
        assert count == 4
        assert numbers[2] > 0
        assert numbers[3] > 0
    elif kind == "yolo-obb":
        assert count == 8
    else:
        assert count >= 6
        assert count % 2 == 0


def clockwise(numbers: tuple[float, ...]) -> bool:
    """Whether corners go clockwise to the eye (y grows downwards)."""
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return sum(x * v - u * y for (x, y), (u, v) in zip(points, points[1:] + points[:1], strict=True)) > 0
