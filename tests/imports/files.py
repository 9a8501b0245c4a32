"""Writes small annotation files the way other tools do."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from syncd.domain.labels import label_config
from syncd.domain.labels.configs import LabelConfig, parse_label_config

BOXES = parse_label_config(label_config("object-detection", ["cat", "dog"]))
SPANS = parse_label_config(label_config("named-entities", ["PER", "LOC"]))
CLASSES = parse_label_config(label_config("text-classification", ["good", "bad"]))
PICTURES = parse_label_config(label_config("image-classification", ["cat", "dog"]))
POLYGONS = parse_label_config(label_config("polygon-segmentation", ["cat", "dog"]))

ALL: tuple[LabelConfig, ...] = (BOXES, SPANS, CLASSES, PICTURES, POLYGONS)


def coco(path: Path, **changes: Any) -> Path:
    """Two images of equal basename, one of them with two boxes, and one with nothing on it."""
    content: dict[str, Any] = {
        "images": [
            {"id": 1, "file_name": "a/x.jpg", "width": 200, "height": 100},
            {"id": 2, "file_name": "b/x.jpg", "width": 50, "height": 50},
            {"id": 3, "file_name": "empty.jpg", "width": 50, "height": 50},
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [20, 10, 40, 30], "segmentation": [], "area": 1200},
            {
                "id": 2,
                "image_id": 1,
                "category_id": 9,
                "bbox": [0, 0, 10, 10],
                "segmentation": [[0, 0, 10, 0, 10, 10]],
                "area": 50,
            },
            {"id": 3, "image_id": 2, "category_id": 9, "bbox": [0, 0, 50, 50], "area": 2500},
        ],
    }
    file = path / "instances.json"
    file.write_text(json.dumps({**content, **changes}))
    return file


def picture(path: Path, width: int = 200, height: int = 100) -> Path:
    """An image file of that size, in pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def lines(path: Path, *texts: str) -> Path:
    """A text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path
