"""Items into answers: valid by the label config, about the right object, and the same each time."""

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.domain.checks import check
from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.model import AnswerKind, ObjectRef
from syncd.domain.regions import Box, Choice, Polygon, Region, Size, Span, read_regions, write_regions
from syncd.imports import PARSERS, prepare
from syncd.imports.answers import Origin
from syncd.imports.base import Item
from tests.imports.files import BOXES, CLASSES, PICTURES, POLYGONS, SPANS, coco

SIZE = Size(200, 100)


@pytest.mark.parametrize(
    ("config", "region"),
    [
        (BOXES, Box(id="a", labels=("cat",), x=20, y=10, width=40, height=30, rotation=15, size=SIZE)),
        (POLYGONS, Polygon(id="a", labels=("dog",), points=((0, 0), (20, 0), (20, 50)), size=SIZE)),
        (PICTURES, Choice(id="a", labels=("cat",), paths=(("cat",),))),
        (SPANS, Span(id="a", labels=("PER",), start=0, end=4, words="Anna")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_written_is_valid_and_read_back_the_same(config: LabelConfig, region: Region) -> None:
    result = write_regions([region], config)
    assert check(list(result), config) is None
    (back,) = read_regions(result)
    assert back == replace(region, control=back.control)


def test_a_label_or_a_shape_that_the_label_config_lacks_is_refused() -> None:
    with pytest.raises(Rejected, match="no label horse for a box; it has: cat, dog"):
        write_regions([Box(labels=("horse",), x=0, y=0, width=1, height=1, size=SIZE)], BOXES)
    with pytest.raises(Rejected, match="no control for a span"):
        write_regions([Span(labels=("cat",), start=0, end=1)], BOXES)


def origin(config: object = BOXES, **more: object) -> Origin:
    known = {"config": config, "kind": AnswerKind.ANNOTATION, "name": "mine", "bucket": "s3://photos"}
    return Origin(**{**known, **more})  # type: ignore[arg-type]


def test_media_are_found_by_key_under_a_prefix(tmp_path: Path) -> None:
    items = list(PARSERS["coco"](coco(tmp_path), BOXES))
    prepared = prepare(items, origin(prefix="raw"))
    assert [answer.ref.key for answer in prepared.answers] == ["raw/a/x.jpg", "raw/b/x.jpg", "raw/empty.jpg"]
    uris = prepare([Item("s3://photos/a.jpg", (), "1"), Item("gs://other/a.jpg", (), "2")], origin())
    assert [answer.ref for answer in uris.answers] == [ObjectRef("s3://photos", "a.jpg")]
    assert uris.problems == ["2: gs://other/a.jpg is not in the bucket s3://photos"]


def test_texts_are_objects_of_the_import(tmp_path: Path) -> None:
    good = (Choice(labels=("good",)),)
    items = [Item("7", good, "1", "Nice"), Item("", good, "2", "Fine"), Item("", good, "3", "Fine")]
    named, *same = prepare(items, origin(CLASSES, kind=AnswerKind.PREDICTION)).answers
    assert (named.ref, named.text, named.model_version) == (ObjectRef("import://mine", "7"), "Nice", "mine")
    assert same[0].ref == same[1].ref
    assert same[0].digest == same[1].digest


def test_every_problem_is_told_with_its_place() -> None:
    bad = Box(labels=("horse",), x=0, y=0, width=1, height=1, size=SIZE)
    outside = Box(labels=("cat",), x=190, y=0, width=50, height=1, size=SIZE)
    prepared = prepare([Item("a", (bad,), "one"), Item("b", (outside,), "two"), Item("c", (), "three")], origin())
    assert len(prepared.answers) == 1
    assert [problem.partition(":")[0] for problem in prepared.problems] == ["one", "two"]
    assert "must be at most 100" in prepared.problems[1]
