"""Files as they really come: damaged, in other encodings, half of them right. One clear line each, and nothing lost."""

from pathlib import Path

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import LabelConfig
from syncd.domain.model import AnswerKind
from syncd.domain.regions import Box, Span
from syncd.imports import PARSERS, Prepared, prepare
from syncd.imports.answers import Origin
from tests.imports.files import BOXES, CLASSES, POLYGONS, SPANS, coco, lines, picture
from tests.imports.test_parsers import VOC


def prepared(format_: str, path: Path, config: LabelConfig) -> Prepared:
    return prepare(PARSERS[format_](path, config), Origin(config, AnswerKind.ANNOTATION, "mine", "s3://photos"))


@pytest.mark.parametrize(
    ("format_", "content", "message"),
    [
        ("csv", "text,label\nSchön,good\n".encode("latin-1"), "x is not all UTF-8 text .*; convert it"),
        ("csv", "text,label\nSchön,good\n".encode("utf-16"), "x is not all UTF-8 text"),
        ("conll", "Köln B-LOC\n".encode("latin-1"), "x is not all UTF-8 text"),
        ("csv", b'text,label\n"cut off,good\nmore,bad\n', r"x:\d is no CSV: unexpected end of data"),
        ("jsonl", b'{"text": "a", "label": "good"}\n{"te', "x:2 is no JSON"),
        ("coco", b'{"images": [', "x is no JSON"),
        ("coco", b'{"images": ["a"], "categories": [], "annotations": []}', "need an id"),
        ("coco", b'{"images": [], "categories": [], "annotations": [{"id": 1}]}', "annotations image_id"),
        ("huggingface", b"nothing", "is no dataset that can be loaded"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, format_: str, content: bytes, message: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(Rejected, match=message) as refused:
        prepared(format_, path, CLASSES)
    assert "\n" not in str(refused.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="cannot be read: Is a directory"):
        prepared("csv", tmp_path, CLASSES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label": 1}', "has no label 1 "),
        ('{"text": "a", "label": 0}', "has no label 0 "),
        ('{"text": "a", "sentiment": "good"}', "has no answer; its column is called labels or label"),
        ('{"text": "a", "spans": "[{"}', "spans is no JSON"),
        ('{"text": "a", "spans": 5}', "spans is a list"),
        ('{"text": "a", "spans": ["b"]}', "a span is {start, end, label}"),
    ],
)
def test_one_bad_line_does_not_hold_up_the_others(tmp_path: Path, line: str, message: str) -> None:
    path = lines(tmp_path / "x.jsonl", line, "", '{"text": "b", "label": "good"}')
    found = prepared("jsonl", path, CLASSES)
    (problem,) = found.problems
    assert problem.startswith("x.jsonl:1: ")
    assert message in problem
    assert [answer.text for answer in found.answers] == ["b"]


def test_a_table_is_read_as_it_is_quoted(tmp_path: Path) -> None:
    quoted = ['"x, y",good'] * 3000
    path = lines(tmp_path / "x.csv", "\ufefftext,label", *quoted, '"she said ""no"", loud\nand left",bad', "a,b,good")
    found = prepared("csv", path, CLASSES)
    assert found.answers[-1].text == 'she said "no", loud\nand left'
    assert found.problems == [
        "x.csv:3004: has more fields than the header; put quotes around those that hold the separator"
    ]
    semicolons = lines(tmp_path / "y.csv", "text;label", "one, two, three;good")
    assert [answer.text for answer in prepared("csv", semicolons, CLASSES).answers] == ["one, two, three"]


def test_two_texts_of_one_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    found = prepared("csv", lines(tmp_path / "x.csv", "id,text,label", "1,a,good", "1,b,bad", "1,a,bad"), CLASSES)
    assert [answer.text for answer in found.answers] == ["a", "a"]
    assert found.problems == ["x.csv:3: another text is called '1' too; leave names out, or make them differ"]


def test_offsets_count_characters_and_what_counts_otherwise_is_told(tmp_path: Path) -> None:
    good = '{"text": "🍏🍏 Anna in Ulm", "spans": [{"start": 3, "end": 7, "label": "PER", "text": "Anna"}]}'
    utf16 = '{"text": "🍏🍏 Anna in Ulm", "spans": [{"start": 5, "end": 9, "label": "PER", "text": "Anna"}]}'
    behind = '{"text": "🍏🍏 Anna", "spans": [{"start": 5, "end": 9, "label": "PER"}]}'
    found = prepared("jsonl", lines(tmp_path / "x.jsonl", good, utf16, behind), SPANS)
    assert [answer.result[0]["value"]["text"] for answer in found.answers] == ["Anna"]
    assert [problem.partition(": ")[0] for problem in found.problems] == ["x.jsonl:2", "x.jsonl:3"]
    assert all("start and end count its characters" in problem for problem in found.problems)


def test_conll_of_other_schemes(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "x.conll", "\ufeffUlm S-LOC", "New B-LOC", "York E-LOC", "", "10\u00a0km\tU-LOC", "", "Ulm NNP"
    )
    *fine, wrong = PARSERS["conll"](path, SPANS)
    assert [[r.words for r in item.regions if isinstance(r, Span)] for item in fine] == [
        ["Ulm", "New York"],
        ["10\u00a0km"],
    ]
    assert (wrong.where, wrong.problem) == ("x.conll:7", "needs a token and a tag, such as O or B-PER; found 'Ulm NNP'")


def test_coco_annotations_of_images_that_are_not_listed_are_told(tmp_path: Path) -> None:
    stray = {"id": 1, "image_id": 99, "category_id": 7, "bbox": [0, 0, 1, 1]}
    found = prepared("coco", coco(tmp_path, annotations=[stray]), BOXES)
    assert len(found.answers) == 3
    assert found.problems == ["instances.json: image 99: the file does not list it, but 1 annotations of it"]


def test_coco_images_need_a_size_only_for_shapes(tmp_path: Path) -> None:
    bare = coco(tmp_path, images=[{"id": 5, "file_name": "x.jpg"}], annotations=[])
    assert len(prepared("coco", bare, BOXES).answers) == 1
    flat = coco(tmp_path, images=[{"id": 1, "file_name": "x.jpg", "width": 0, "height": 9}])
    assert "an image of 0 x 9 pixels has no place for shapes" in prepared("coco", flat, BOXES).problems[0]


def test_a_box_may_stick_out_by_a_rounded_pixel(tmp_path: Path) -> None:
    one = {"id": 1, "image_id": 1, "category_id": 7}
    images = [{"id": 1, "file_name": "x.jpg", "width": 200, "height": 100}]
    rounded = coco(tmp_path, images=images, annotations=[{**one, "bbox": [0, 0, 200.4, 100]}])
    assert prepared("coco", rounded, BOXES).answers[0].result[0]["value"]["width"] == 100
    outside = coco(tmp_path, images=images, annotations=[{**one, "bbox": [0, 0, 250, 100]}])
    assert "width 125.0 must be 0 to 100" in prepared("coco", outside, BOXES).problems[0]


def test_voc_corners_that_count_from_zero(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.xml", VOC.replace("<xmin>1<", "<xmin>0<"))
    ((box,),) = (item.regions for item in PARSERS["voc"](path, BOXES))
    assert isinstance(box, Box)
    assert (box.x, box.width) == (0, 40)


def test_yolo_lines_that_cannot_be_meant(tmp_path: Path) -> None:
    lines(tmp_path / "data.yaml", "names: {0: cat, 2: dog}")
    for name, line in {
        "a": "-1 .5 .5 .1 .1",
        "b": "1 .5 .5 .1 .1",
        "c": "2 .5 .5 .1 .1",
        "lost": "0 .5 .5 .1 .1",
    }.items():
        lines(tmp_path / f"labels/{name}.txt", line, "  ")
        if name != "lost":
            picture(tmp_path / f"images/{name}.jpg")
    picture(tmp_path / "images/d.jpg")
    (tmp_path / "labels/d.txt").write_bytes(b"\xff\xfe")
    found = prepared("yolo", tmp_path / "data.yaml", BOXES)
    assert [answer.result[0]["value"]["rectanglelabels"] for answer in found.answers] == [["dog"]]
    places = ["images/a.jpg", "images/b.jpg", "images/d.jpg", "labels/lost.txt"]
    assert [problem.partition(": ")[0] for problem in found.problems] == places
    assert found.problems[-1] == "labels/lost.txt: its image is not there, whose size it needs"


def test_yolo_names_that_are_none(tmp_path: Path) -> None:
    for content, message in {
        "names: [": "is no YAML: ",
        "- cat": "has no `names`",
        "names: {a: cat}": "has no `names`",
    }.items():
        lines(tmp_path / "data.yaml", content)
        with pytest.raises(Rejected, match=message) as refused:
            prepared("yolo", tmp_path, BOXES)
        assert "\n" not in str(refused.value)


def test_a_list_of_items_that_is_not_ours_is_let_be_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    file = coco(tmp_path)
    lines(tmp_path / "items.jsonl", '{"id": 1}', "[]")
    assert len(prepared("coco", file, POLYGONS).answers) == 1
    (tmp_path / "items.jsonl").write_text('{"file": "a')
    with pytest.raises(Rejected, match=r"items\.jsonl is damaged"):
        prepared("coco", file, BOXES)
