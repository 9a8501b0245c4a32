"""Label Studio's result JSON as neutral regions: every kind of control, parts that belong together, nothing dropped."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.checks import check
from syncd.domain.labels import TASKS
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.model import JsonObject
from syncd.domain.regions import (
    Box,
    Choice,
    Ellipse,
    Keypoint,
    Mask,
    Number,
    Other,
    Polygon,
    Region,
    Relation,
    Segment,
    Size,
    Span,
    Text,
    read_regions,
)
from tests.domain.answers import ANSWERS, BOX, DATA, config_of, region

SIZE = Size(640, 480)
CONFIGS = {task: parse_label_config(config_of(task)) for task in TASKS}


def one(type_: str, value: JsonObject, **entry: Any) -> Region:
    """The only region of an answer on an image of 640 x 480, by the control `c`."""
    (found,) = read_regions([region(type_, "c", "image", value) | entry])
    assert (found.id, found.control) == ("r1", "c")
    return found


def same(**common: Any) -> dict[str, Any]:
    return {"id": "r1", "control": "c", **common}


CONTROLS: list[tuple[str, JsonObject, Region]] = [
    (
        "rectanglelabels",
        {"x": 25, "y": 50, "width": 10, "height": 20, "rotation": 0, "rectanglelabels": ["car"]},
        Box(**same(labels=("car",)), x=160, y=240, width=64, height=96, size=SIZE),
    ),
    (
        "rectangle",
        {"x": 25, "y": 50, "width": 10, "height": 20, "rotation": 30},
        Box(**same(), x=160, y=240, width=64, height=96, rotation=30, size=SIZE),
    ),
    (
        "polygonlabels",
        {"points": [[0, 0], [50, 0], [50, 100]], "closed": True, "polygonlabels": ["road"]},
        Polygon(**same(labels=("road",)), points=((0, 0), (320, 0), (320, 480)), size=SIZE),
    ),
    (
        "ellipselabels",
        {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 45, "ellipselabels": ["cell"]},
        Ellipse(**same(labels=("cell",)), x=320, y=240, radius_x=64, radius_y=96, rotation=45, size=SIZE),
    ),
    (
        "keypointlabels",
        {"x": 50, "y": 25, "width": 0.4, "keypointlabels": ["nose"]},
        Keypoint(**same(labels=("nose",)), x=320, y=120, size=SIZE),
    ),
    (
        "brushlabels",
        {"format": "rle", "rle": [0, 1, 37, 255], "brushlabels": ["tissue"]},
        Mask(**same(labels=("tissue",)), rle=(0, 1, 37, 255), size=SIZE),
    ),
    (
        "labels",
        {"start": 3, "end": 9, "text": "Merkel", "labels": ["person"]},
        Span(**same(labels=("person",)), start=3, end=9, words="Merkel"),
    ),
    (
        "labels",
        {"start": 1, "end": 2, "channel": 0, "labels": ["speech"]},
        Segment(**same(labels=("speech",)), start=1, end=2),
    ),
    (
        "timeserieslabels",
        {"start": 10, "end": 20, "instant": False, "timeserieslabels": ["run"]},
        Segment(**same(labels=("run",)), start=10, end=20),
    ),
    ("choices", {"choices": ["cat"]}, Choice(**same(labels=("cat",)), paths=(("cat",),))),
    (
        "choices",
        {"choices": [["animal", "cat"], ["plant"]]},
        Choice(**same(labels=("cat", "plant")), paths=(("animal", "cat"), ("plant",))),
    ),
    (
        "taxonomy",
        {"taxonomy": [["animal", "cat"]]},
        Choice(**same(labels=("cat",)), paths=(("animal", "cat"),)),
    ),
    ("textarea", {"text": ["hello", "world"]}, Text(**same(text=("hello", "world")))),
    ("rating", {"rating": 4}, Number(**same(), value=4)),
    ("number", {"number": 2.5}, Number(**same(), value=2.5)),
]


@pytest.mark.parametrize(
    ("type_", "value", "expected"), CONTROLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_control_has_its_neutral_form_in_pixels_characters_or_seconds(
    type_: str, value: JsonObject, expected: Region
) -> None:
    assert one(type_, value) == expected


@pytest.mark.parametrize(
    ("type_", "value", "labels"),
    [
        ("videorectangle", {"framesCount": 9, "sequence": [{"frame": 1, "x": 1}], "labels": ["car"]}, ("car",)),
        ("timelinelabels", {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["still"]}, ("still",)),
        ("pairwise", {"selected": "left"}, ()),
        ("ranker", {"ranker": {"relevant": ["b"]}}, ()),
        ("datetime", {"datetime": "2026-11-20"}, ()),
        ("bitmask", {"imageDataURL": "data:image/png;base64,AA=="}, ()),
        ("hypertextlabels", {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "hypertextlabels": ["a"]}, ("a",)),
        ("paragraphlabels", {"start": "0", "end": "1", "startOffset": 2, "paragraphlabels": ["a"]}, ("a",)),
        ("timeserieslabels", {"start": "2026-01-01", "end": "2026-01-02", "timeserieslabels": ["a"]}, ("a",)),
    ],
)
def test_what_has_no_neutral_form_is_kept_as_it_is(type_: str, value: JsonObject, labels: tuple[str, ...]) -> None:
    found = one(type_, value)
    assert isinstance(found, Other)
    assert (found.kind, found.labels, found.raw["value"]) == (type_, labels, value)


def test_a_shape_whose_image_has_no_size_is_kept_as_it_is() -> None:
    entry = {"id": "r1", "type": "rectanglelabels", "from_name": "c", "to_name": "pdf", "value": BOX}
    assert [type(found) for found in read_regions([entry])] == [Other]


def test_box_labels_and_transcription_of_one_id_are_one_region_in_any_order() -> None:
    for answer in (ANSWERS["ocr"], ANSWERS["ocr"][::-1]):
        (found,) = read_regions(answer)
        assert isinstance(found, Box)
        assert (found.labels, found.text, found.rotation) == (("text",), ("GREEN MARKET",), 359)


@pytest.mark.parametrize("turned", [False, True])
def test_answers_about_a_region_are_no_labels_of_it(turned: bool) -> None:
    answer = [
        region("rectanglelabels", "label", "image", BOX | {"rectanglelabels": ["car"]}),
        region("choices", "state", "image", BOX | {"choices": ["broken", "wet"]}),
        region("taxonomy", "make", "image", BOX | {"taxonomy": [["german", "vw"]]}),
        region("rating", "sure", "image", BOX | {"rating": 3}),
        region("textarea", "plate", "image", BOX | {"text": ["B-AB 12"]}),
    ]
    (found,) = read_regions(answer[::-1] if turned else answer)
    assert isinstance(found, Box)
    assert (found.control, found.labels, found.text) == ("label", ("car",), ("B-AB 12",))
    assert found.choices == {"state": ("broken", "wet"), "make": ("vw",), "sure": ("3",)}


def test_a_text_about_a_span_does_not_make_it_a_segment() -> None:
    place = {"start": 0, "end": 6}
    answer = [
        region("textarea", "note", "text", place | {"text": ["a chancellor"]}),
        region("labels", "label", "text", place | {"text": "Angela", "labels": ["person"]}),
    ]
    assert read_regions(answer) == (
        Span(id="r1", labels=("person",), control="label", text=("a chancellor",), start=0, end=6, words="Angela"),
    )


def test_answers_about_the_whole_task_stay_apart_though_they_share_an_id() -> None:
    answer = [
        region("choices", "kind", "text", {"choices": ["news"]}),
        region("textarea", "summary", "text", {"text": ["short"]}),
    ]
    choice, text = read_regions(answer)
    assert (choice.id, choice.labels, choice.text) == ("r1", ("news",), ())
    assert (text.id, text.text) == ("r1-2", ("short",))


def test_what_an_id_cannot_hold_follows_under_another() -> None:
    answer = [
        region("rectanglelabels", "label", "image", BOX | {"rectanglelabels": ["car"]}),
        region("datetime", "seen", "image", BOX | {"datetime": "2026-11-20"}),
    ]
    box, seen = read_regions(answer)
    assert (box.id, seen.id, seen.control) == ("r1", "r1-2", "seen")


def test_a_relation_links_regions_by_their_ids() -> None:
    first, second, relation = read_regions(ANSWERS["relations"])
    assert relation == Relation(id="relation-2", labels=("related to",), start=first.id, end=second.id)


def test_regions_without_an_id_are_told_apart_and_numbers_are_ids_too() -> None:
    answer: list[JsonObject] = [
        {"type": "choices", "from_name": "a", "value": {"choices": ["x"]}},
        {"type": "choices", "from_name": "b", "value": {"choices": ["y"]}},
        {"id": 7, "type": "choices", "from_name": "c", "value": {"choices": ["z"]}},
    ]
    assert [found.id for found in read_regions(answer)] == ["region-0", "region-1", "7"]


def test_the_image_of_several_is_told() -> None:
    assert one("rectangle", BOX, item_index=2).item == 2
    assert one("rectangle", BOX, item_index="?").item == 0


@pytest.mark.parametrize("task", TASKS)
def test_every_task_of_the_catalogue_is_read(task: str) -> None:
    found = read_regions(ANSWERS[task])
    assert found
    assert len({one.id for one in found}) == len(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
WORDS = (
    "x y width height rotation radiusX radiusY points rle start end text channel labels choices taxonomy rating number "
    "item_index id original_width instant type"
)
NAMES = st.sampled_from(WORDS.split())


@given(task=st.sampled_from(sorted(TASKS)), data=st.data())
def test_what_passes_the_checks_is_read_whatever_else_it_holds(task: str, data: st.DataObject) -> None:
    answer = copy.deepcopy(ANSWERS[task])
    for entry in answer:
        places = [entry, entry["value"]] if "value" in entry else [entry]
        for place in places:
            place.update(data.draw(st.dictionaries(NAMES, JSON, max_size=2)))
    if check(answer, CONFIGS[task], DATA) is None:
        found = read_regions(answer)
        assert len({one.id for one in found}) == len(found)


@given(
    values=st.lists(st.dictionaries(NAMES, JSON, max_size=6), max_size=3),
    kind=st.sampled_from([c[0] for c in CONTROLS]),
)
def test_any_value_is_read_as_something(values: list[JsonObject], kind: str) -> None:
    answer = [region(kind, "c", "image", value, id_=f"r{index}") for index, value in enumerate(values)]
    assert len(read_regions(answer)) == len(values)
