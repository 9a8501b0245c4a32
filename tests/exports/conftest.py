"""Fixtures of export tests."""

from pathlib import Path

import pytest

from tests.exports.world import EVERYTHING, World, box, brush, region


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def everything(tmp_path: Path) -> World:
    """One image with a shape of every kind, one with nothing, and two of equal basename."""
    made = World(tmp_path, EVERYTHING)
    shapes = [
        box("car", 8, 6, 16, 12, control="box"),
        box("a person", 32, 12, 16, 8, control="box", rotation=30),
        region("polygonlabels", "road", "outline", points=[[10, 50], [50, 50], [50, 100], [10, 100]], closed=True),
        region("ellipselabels", "wheel", "round", x=75, y=75, radiusX=12.5, radiusY=8, rotation=20),
        brush("tissue", [(x, y) for x in range(4, 10) for y in range(40, 46)]),
        region("keypointlabels", "eye", "face", x=25, y=25, width=0.5),
        region("keypointlabels", "nose", "face", x=50, y=25, width=0.5),
    ]
    made.add("1", made.image("a/x.jpg"), *shapes, split="train")
    made.add("2", made.image("b/x.jpg", colour="blue"), box("car", 0, 0, 64, 48, control="box"), split="val")
    made.add("3", made.image("ä b/日本 1.png", (20, 30)), split="train")
    return made
