"""What each parser makes of files as other tools write them, and of damaged ones."""

from pathlib import Path

import datasets
import pytest

from syncd.domain.errors import Rejected
from syncd.domain.regions import Box, Choice, Polygon, Size, Span
from syncd.imports import PARSERS
from syncd.imports.base import Item
from tests.imports.files import BOXES, CLASSES, PICTURES, POLYGONS, SPANS, coco, lines, picture


def parsed(format_: str, path: Path, config: object = BOXES) -> list[Item]:
    items = list(PARSERS[format_](path, config))  # type: ignore[arg-type]
    if problems := [f"{item.where}: {item.problem}" for item in items if item.problem]:
        raise Rejected("; ".join(problems))
    return items


def test_coco_boxes_of_images_in_folders(tmp_path: Path) -> None:
    first, second, empty = parsed("coco", coco(tmp_path))
    assert [item.name for item in (first, second, empty)] == ["a/x.jpg", "b/x.jpg", "empty.jpg"]
    assert first.regions == (
        Box(id="1", labels=("cat",), x=20, y=10, width=40, height=30, size=Size(200, 100)),
        Box(id="2", labels=("dog",), x=0, y=0, width=10, height=10, size=Size(200, 100)),
    )
    assert empty.regions == ()


def test_coco_outlines_where_the_label_config_draws_them(tmp_path: Path) -> None:
    only = {"images": [{"id": 1, "file_name": "x.jpg", "width": 20, "height": 20}]}
    outline = {"id": 5, "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]]}
    (item,) = parsed("coco", coco(tmp_path, **only, annotations=[outline]), POLYGONS)
    points = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))
    assert item.regions == (Polygon(id="5", labels=("cat",), points=points, size=Size(20, 20)),)


def test_a_folder_with_one_coco_file_is_as_good_as_the_file(tmp_path: Path) -> None:
    coco(tmp_path)
    assert len(parsed("coco", tmp_path)) == 3
    (tmp_path / "more.json").write_text("{}")
    with pytest.raises(Rejected, match="holds 2 JSON files; name the COCO file itself"):
        parsed("coco", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": None}, "is no COCO file: it needs the lists images, categories, annotations"),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 8, "bbox": [0, 0, 1, 1]}]}, "image 1: .* KeyError 8"),
        ({"annotations": [{"id": 4, "image_id": 1, "category_id": 7}]}, "annotation 4 has no shape"),
        ({"images": [{"id": 1, "file_name": "x.jpg"}]}, "image 1: not as COCO has it: KeyError 'width'"),
    ],
)
def test_what_is_wrong_with_a_coco_file_is_told(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(Rejected, match=message):
        parsed("coco", coco(tmp_path, **changes))


def test_yolo_boxes_with_names_from_data_yaml(tmp_path: Path) -> None:
    lines(tmp_path / "data.yaml", "names: {0: cat, 1: dog}")
    picture(tmp_path / "images/train/a/x.jpg")
    picture(tmp_path / "images/val/b/x.jpg")
    lines(tmp_path / "labels/train/a/x.txt", "1 0.5 0.5 0.2 0.4", "0 0.05 0.1 0.1 0.2")
    first, second = parsed("yolo", tmp_path)
    assert (first.name, second.name, second.regions) == ("a/x.jpg", "b/x.jpg", ())
    dog, cat = first.regions
    assert isinstance(dog, Box)
    assert (dog.labels, cat.labels) == (("dog",), ("cat",))
    assert (dog.x, dog.y, dog.width, dog.height) == pytest.approx((80, 30, 40, 40))


def test_yolo_oriented_boxes_and_outlines(tmp_path: Path) -> None:
    lines(tmp_path / "data.yaml", "names: [cat]")
    picture(tmp_path / "images/x.jpg", 100, 100)
    lines(tmp_path / "labels/x.txt", "0 0.5 0.2 0.8 0.5 0.6 0.7 0.3 0.4")
    ((box,),) = (item.regions for item in parsed("yolo", tmp_path))
    assert isinstance(box, Box)
    assert (box.x, box.y, box.rotation) == pytest.approx((50, 20, 45))
    assert (box.width, box.height) == pytest.approx((42.426, 28.284), abs=0.01)
    ((outline,),) = (item.regions for item in parsed("yolo", tmp_path, POLYGONS))
    assert isinstance(outline, Polygon)
    assert outline.points[0] == (50, 20)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.1 0.1", r"x\.txt:1: '1 0.5 0.5 0.1 0.1' is no class number"),
        ("0 0.5 0.5 0.1", r"x\.txt:1: 3 coordinates; a box has 4"),
        ("cat 0.5 0.5 0.1 0.1", "is no class number"),
    ],
)
def test_what_is_wrong_with_a_yolo_line_is_told(tmp_path: Path, line: str, message: str) -> None:
    lines(tmp_path / "data.yaml", "names: [cat]")
    picture(tmp_path / "images/x.jpg")
    lines(tmp_path / "labels/x.txt", line)
    with pytest.raises(Rejected, match=message):
        parsed("yolo", tmp_path)


VOC = """<annotation><filename>x.jpg</filename><size><width>200</width><height>100</height><depth>3</depth></size>
<object><name>dog</name><bndbox><xmin>1</xmin><ymin>11</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


def test_voc_corners_count_from_one_and_are_included(tmp_path: Path) -> None:
    lines(tmp_path / "Annotations/a/x.xml", VOC)
    lines(tmp_path / "Annotations/b/x.xml", VOC.replace("<object>", "<!--").replace("</object>", "-->"))
    first, second = parsed("voc", tmp_path)
    assert (first.name, second.name, second.regions) == ("a/x.jpg", "b/x.jpg", ())
    assert first.regions == (Box(labels=("dog",), x=0, y=10, width=40, height=20, size=Size(200, 100)),)


def test_voc_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="has no XML files"):
        parsed("voc", tmp_path)
    lines(tmp_path / "x.xml", "<annotation><size>")
    with pytest.raises(Rejected, match=r"x\.xml: not as Pascal VOC has it"):
        parsed("voc", tmp_path)
    entities = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>'
    lines(tmp_path / "x.xml", entities)
    with pytest.raises(Rejected, match=r"x\.xml: not as Pascal VOC has it"):
        parsed("voc", tmp_path)


def test_conll_entities_are_spans_of_the_joined_tokens(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "train.conll",
        "-DOCSTART- -X- O O",
        "",
        "Anna NNP B-NP B-PER",
        "Lee NNP I-NP I-PER",
        "visits VBZ O O",
        "Köln NNP B-NP B-LOC",
        "",
        "Rain O",
    )
    first, second = parsed("conll", path, SPANS)
    assert first.text == "Anna Lee visits Köln"
    assert first.regions == (
        Span(labels=("PER",), start=0, end=8, words="Anna Lee"),
        Span(labels=("LOC",), start=16, end=20, words="Köln"),
    )
    assert (second.text, second.regions) == ("Rain", ())


def test_conll_neighbours_of_one_kind_stay_two(tmp_path: Path) -> None:
    (item,) = parsed("conll", lines(tmp_path / "x", "Ann B-PER", "Bob B-PER", "Ulm I-LOC"), SPANS)
    assert [(r.labels, r.words) for r in item.regions if isinstance(r, Span)] == [
        (("PER",), "Ann"),
        (("PER",), "Bob"),
        (("LOC",), "Ulm"),
    ]
    with pytest.raises(Rejected, match="x:1: needs a token and a tag"):
        parsed("conll", lines(tmp_path / "x", "alone"), SPANS)


def test_csv_rows_by_their_column_names(tmp_path: Path) -> None:
    texts = lines(tmp_path / "reviews.csv", "id;text;label", '7;"Nice; really";good', "8;Meh;")
    assert parsed("csv", texts, CLASSES) == [
        Item("7", (Choice(labels=("good",)),), "reviews.csv:2", "Nice; really"),
        Item("8", (), "reviews.csv:3", "Meh"),
    ]
    files = lines(tmp_path / "files.csv", "file_name,class", "cats/1.jpg,cat")
    assert parsed("csv", files, PICTURES) == [Item("cats/1.jpg", (Choice(labels=("cat",)),), "files.csv:2")]
    with pytest.raises(Rejected, match=r"files\.csv:2: has no text; its column is called text or sentence"):
        parsed("csv", files, CLASSES)


def test_jsonl_with_spans_and_labels(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "x.jsonl",
        '{"text": "Anna in Ulm", "spans": [{"start": 0, "end": 4, "label": "PER"}]}',
        '{"text": "Nobody", "spans": []}',
    )
    first, second = parsed("jsonl", path, SPANS)
    assert first.regions == (Span(labels=("PER",), start=0, end=4, words="Anna"),)
    assert second.regions == ()
    with pytest.raises(Rejected, match=r"y\.jsonl:2 is no JSON"):
        parsed("jsonl", lines(tmp_path / "y.jsonl", '{"text": "a"}', "{"), CLASSES)


def test_hugging_face_class_numbers_are_names(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    made = datasets.Dataset.from_dict({"text": ["Nice", "?"], "label": [1, -1]}, features=features)
    datasets.DatasetDict({"train": made}).save_to_disk(str(tmp_path / "reviews"))
    first, second = parsed("huggingface", tmp_path / "reviews", CLASSES)
    assert (first.text, first.regions) == ("Nice", (Choice(labels=("good",)),))
    assert second.regions == ()
