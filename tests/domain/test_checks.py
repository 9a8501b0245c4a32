"""Answers that break the label config are found, with the reason; the verdict agrees with Label Studio's SDK."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from syncd.domain.checks import check, labels_of
from syncd.domain.labels import TASKS
from syncd.domain.labels.configs import LabelConfig, parse_label_config
from syncd.domain.model import JsonObject
from tests.domain.answers import ANSWERS, BOX, DATA, config_of, region

CONFIGS = {task: parse_label_config(config_of(task)) for task in TASKS}
SDK = {task: LabelInterface(config_of(task)) for task in TASKS}


def view(tags: str) -> LabelConfig:
    return parse_label_config(f"<View>{tags}</View>")


Path = tuple[str | int, ...]


def changed(answer: list[JsonObject], path: str | Path, new: Any) -> list[JsonObject]:
    """A copy in which one place (`0.value.x`) holds another value; DELETE takes it out."""
    answer = copy.deepcopy(answer)
    parts = [int(part) if part.isdigit() else part for part in path.split(".")] if isinstance(path, str) else path
    *parents, last = parts
    place: Any = answer
    for part in parents:
        place = place[part]
    if new is DELETE:
        del place[last]
    else:
        place[last] = new
    return answer


DELETE = object()


def sdk_errors(task: str, answer: Any) -> list[str]:
    errors = SDK[task].validate_prediction({"result": answer}, return_errors=True)
    assert isinstance(errors, list)
    return errors


# ---------------------------------------------------------------- agreement with the SDK


@pytest.mark.parametrize("task", TASKS)
def test_a_valid_answer_to_every_task_passes_here_and_in_the_sdk(task: str) -> None:
    assert check(ANSWERS[task], CONFIGS[task], DATA) is None
    assert sdk_errors(task, ANSWERS[task]) == []
    assert SDK[task].validate_annotation({"result": ANSWERS[task]})


MUTATIONS: list[tuple[str, Callable[[list[JsonObject]], list[Any]]]] = [
    ("unknown from_name", lambda answer: changed(answer, "0.from_name", "nobody")),
    ("unknown to_name", lambda answer: changed(answer, "0.to_name", "nothing")),
    ("wrong type", lambda answer: changed(answer, "0.type", "ellipse")),
    ("type that is no text", lambda answer: changed(answer, "0.type", 5)),
    ("no type", lambda answer: changed(answer, "0.type", DELETE)),
    ("no from_name", lambda answer: changed(answer, "0.from_name", DELETE)),
    ("no value", lambda answer: changed(answer, "0.value", DELETE)),
    ("empty value", lambda answer: changed(answer, "0.value", {})),
    ("value that is no object", lambda answer: changed(answer, "0.value", [1])),
    ("region that is no object", lambda answer: [*answer, "region"]),
]


@pytest.mark.parametrize("mutate", [mutate for _, mutate in MUTATIONS], ids=[name for name, _ in MUTATIONS])
@pytest.mark.parametrize("task", TASKS)
def test_a_broken_region_of_any_task_fails_here_as_in_the_sdk(
    task: str, mutate: Callable[[list[JsonObject]], list[Any]]
) -> None:
    broken = mutate(ANSWERS[task])
    assert check(broken, CONFIGS[task], DATA) is not None
    assert sdk_errors(task, broken)


LABEL_PATHS = {
    "image-classification": "choices",
    "object-detection": "rectanglelabels",
    "polygon-segmentation": "polygonlabels",
    "brush-segmentation": "brushlabels",
    "keypoints": "keypointlabels",
    "named-entities": "labels",
    "audio-segments": "labels",
    "video-timeline": "timelinelabels",
    "time-series": "timeserieslabels",
}


@pytest.mark.parametrize("wrong", [["unknown"], "cat", [5], None, DELETE])
@pytest.mark.parametrize("task", LABEL_PATHS)
def test_a_wrong_label_fails_here_as_in_the_sdk(task: str, wrong: object) -> None:
    broken = changed(ANSWERS[task], f"0.value.{LABEL_PATHS[task]}", wrong)
    assert check(broken, CONFIGS[task], DATA) is not None
    assert sdk_errors(task, broken)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TWEAKS = JSON | st.sampled_from([[], {}, "left", "r1", -1, 0, 0.5, 100, 101, 256, ["car"], [[1, 2]] * 3, 10**400])


def _places(value: Any, path: Path = ()) -> list[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in inner for place in ((*path, key), *_places(one, (*path, key)))]


@given(st.data())
def test_whatever_is_put_in_one_place_nothing_passes_here_that_the_sdk_refuses(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(list(TASKS)))
    path = data.draw(st.sampled_from([place for place in _places(ANSWERS[task]) if len(place) > 1]))
    tweaked = changed(ANSWERS[task], path, data.draw(TWEAKS | st.just(DELETE)))
    if check(tweaked, CONFIGS[task], DATA) is None:
        assert sdk_errors(task, tweaked) == []


# ---------------------------------------------------------------- where the check knows more than the SDK

IMAGES = ["object-detection", "polygon-segmentation", "brush-segmentation", "keypoints"]
HUGE = 10**5000

WORSE: list[tuple[str, str, Any, str]] = [
    *((task, "0.original_width", DELETE, "original_width is missing") for task in IMAGES),
    *((task, "0.original_height", 0, "original_height must be 1 or more") for task in IMAGES),
    *(("object-detection", f"0.value.{side}", math.nan, f"{side} nan must be finite") for side in BOX),
    *(("object-detection", f"0.value.{side}", math.inf, f"{side} inf must be finite") for side in BOX),
    *(("object-detection", f"0.value.{side}", True, f"{side} True must be a number") for side in BOX),
    *(("object-detection", f"0.value.{side}", "12", f"{side} '12' must be a number") for side in BOX),
    ("object-detection", "0.value.x", DELETE, "x is missing"),
    ("object-detection", "0.value.x", HUGE, "x (a huge number) must be finite"),
    ("object-detection", "0.value.x", -5, "x -5 and y 30.4 must not be negative"),
    ("object-detection", "0.value.x", 101, "x 101 must be -inf to 100"),
    ("object-detection", "0.value.x", 90, "x + width 107.5 must be at most 100"),
    ("object-detection", "0.value.y", 80, "y + height 105.2 must be at most 100"),
    ("object-detection", "0.value.width", -1, "width -1 must be 0 to 100"),
    ("object-detection", "0.value.rotation", 720, "rotation 720 must be -360 to 360"),
    ("object-detection", "1.value.x", 99, "the centre of the rotated box"),
    ("object-detection", "1.value.y", -60, "the centre of the rotated box"),
    ("polygon-segmentation", "0.value.points", [[1, 2], [3, 4]], "points must be a list of at least 3"),
    ("polygon-segmentation", "0.value.points.0", [1, 101], "y 101 must be"),
    ("polygon-segmentation", "0.value.points.0", [-1, 1], "x -1 must be"),
    ("polygon-segmentation", "0.value.points.0", [1], "must be a pair of numbers"),
    ("polygon-segmentation", "0.value.points.0", [1, True], "y True must be a number"),
    ("keypoints", "0.value.y", 100.5, "y 100.5 must be"),
    ("brush-segmentation", "0.value.rle", [0, 256], "rle byte 256"),
    ("brush-segmentation", "0.value.rle", [0, True], "rle byte True"),
    ("brush-segmentation", "0.value.rle", [0, 1.5], "rle byte 1.5"),
    ("brush-segmentation", "0.value.rle", [], "rle must be a list of at least 1"),
    ("image-classification", "0.value.choices", ["cat", "dog"], "2 choices where one is allowed"),
    ("ocr", "1.id", "other", "no shape shares its id"),
    ("ocr", "2.value.text", "GREEN", "text must be a list"),
    ("ocr", "2.value.text", [5], "text must be a list of texts"),
    ("named-entities", "0.value.start", 13, "end 13 must be after start 13"),
    ("named-entities", "0.value.start", -1, "start -1 must not be negative"),
    ("named-entities", "0.value.start", 0.5, "start 0.5 must be a whole number"),
    ("named-entities", "0.value.end", "13", "end '13' must be a whole number"),
    ("named-entities", "0.value.end", 500, "end 500 is behind the end of the text"),
    ("named-entities", "0.value.text", "Angela Markel", "text 'Angela Markel' is not what stands there"),
    ("named-entities", "0.value.start", 1, "text 'Angela Merkel' is not what stands there, 'ngela Merkel'"),
    ("relations", "2.to_id", "r9", "to_id 'r9' is no region of the result"),
    ("relations", "2.from_id", DELETE, "from_id None is no region"),
    ("relations", "2.direction", "up", "direction 'up' must be left, right or bi"),
    ("relations", "2.labels", ["owns"], "relation 'owns' is not in the label config"),
    ("audio-segments", "0.value.end", 1, "end 1 must not be before start 1.09"),
    ("audio-segments", "0.value.start", math.nan, "start nan must be finite"),
    ("time-series", "0.value.end", 0, "end 0 must not be before start 1"),
    ("time-series", "0.value.instant", DELETE, "instant must be true or false"),
    ("video-object-tracking", "0.value.sequence", [], "sequence must be a list of at least 1"),
    ("video-object-tracking", "0.value.sequence", [5], "sequence must be a list of objects"),
    ("video-object-tracking", "0.value.sequence.0.frame", 1.5, "frame 1.5 must be a whole number"),
    ("video-object-tracking", "0.value.sequence.0.width", -1, "width -1 must be 0 to 100"),
    ("video-object-tracking", "0.value.labels", ["ship"], "label 'ship' is not in the label config"),
    ("video-timeline", "0.value.ranges.0.end", 0, "end 0 must not be before start 1"),
    ("rating", "0.value.rating", 6, "rating 6 must be at most 5"),
    ("rating", "0.value.rating", 2.5, "rating 2.5 must be a whole number"),
    ("pairwise", "0.value.selected", "none", "selected 'none' must be left or right"),
    ("ranking", "0.value.ranker", ["a"], "ranker must be an object of lists"),
    ("ranking", "0.value.ranker.relevant", [5], "relevant must be a list of texts"),
]


@pytest.mark.parametrize(("task", "path", "new", "reason"), WORSE, ids=[f"{case[0]}: {case[3]}" for case in WORSE])
def test_what_breaks_a_rule_is_refused_with_the_rule(task: str, path: str, new: object, reason: str) -> None:
    assert reason in str(check(changed(ANSWERS[task], path, new), CONFIGS[task], DATA))


def test_the_reason_names_region_id_and_control() -> None:
    broken = changed(ANSWERS["object-detection"], "1.value.rectanglelabels", ["Ship"])
    assert check(broken, CONFIGS["object-detection"]) == (
        "region 1, id 'r2', from_name 'label': label 'Ship' is not in the label config"
    )


@pytest.mark.parametrize("result", [None, {}, "[]", 5])
def test_a_result_that_is_no_list_is_refused(result: object) -> None:
    assert check(result, CONFIGS["ocr"]) == "the result must be a list of regions"


def test_an_empty_result_is_valid() -> None:
    assert check([], CONFIGS["object-detection"]) is None


# ---------------------------------------------------------------- what Label Studio really writes


def test_rounding_errors_at_the_border_are_no_fault() -> None:
    box = {"x": 33.33, "y": -1e-9, "width": 66.6700001, "height": 100, "rectanglelabels": ["car"]}
    assert check([region("rectanglelabels", "label", "image", box)], CONFIGS["object-detection"]) is None


def test_a_rotated_box_may_stick_out_as_long_as_its_centre_is_inside() -> None:
    at_the_corner = {"x": 10, "y": -4, "width": 20, "height": 20, "rotation": 45, "rectanglelabels": ["car"]}
    turned_round = {"x": 99, "y": 99, "width": 60, "height": 40, "rotation": 180, "rectanglelabels": ["car"]}
    for box in (at_the_corner, turned_round):
        assert check([region("rectanglelabels", "label", "image", box)], CONFIGS["object-detection"]) is None


def test_a_pairwise_region_may_name_itself_as_its_target() -> None:
    assert check(changed(ANSWERS["pairwise"], "0.to_name", "pairwise"), CONFIGS["pairwise"]) is None


@pytest.mark.parametrize(("start", "end"), [(25, 31), (26, 32)], ids=["code points", "UTF-16 units"])
def test_spans_behind_an_emoji_are_read_in_both_ways_of_counting(start: int, end: int) -> None:
    text = "Angela Merkel met 👩 today, Berlin"
    start, end = text.index("Berlin") + (start - 25), text.index("Berlin") + (end - 25)
    span = region("labels", "label", "text", {"start": start, "end": end, "text": "Berlin", "labels": ["place"]})
    assert check([span], CONFIGS["named-entities"], {"text": text}) is None


def test_line_ends_in_the_copied_text_may_be_written_in_the_editors_way() -> None:
    span = region("labels", "label", "text", {"start": 0, "end": 7, "text": "one\\ntwo", "labels": ["place"]})
    assert check([span], CONFIGS["named-entities"], {"text": "one\ntwo"}) is None


def test_spans_are_not_compared_with_a_text_that_lies_behind_a_link() -> None:
    linked = view('<Text name="text" value="$text" valueType="url"/><Labels name="label" toName="text"/>')
    span = region("labels", "label", "text", {"start": 0, "end": 900, "text": "x", "labels": ["any"]})
    assert check([span], linked, {"text": "s3://bucket/a.txt"}) is None


def test_labels_may_share_the_id_of_a_shape_with_labels_of_its_own() -> None:
    config = view(
        '<Image name="image" value="$i"/>'
        '<RectangleLabels name="box" toName="image"><Label value="car"/></RectangleLabels>'
        '<Labels name="colour" toName="image"><Label value="red"/></Labels>'
    )
    answer = [
        region("rectanglelabels", "box", "image", BOX | {"rectanglelabels": ["car"]}),
        region("labels", "colour", "image", BOX | {"labels": ["red"]}),
    ]
    assert check(answer, config) is None
    assert "x nan" in str(check(changed(answer, "1.value.x", math.nan), config))


def test_labels_merged_into_a_shape_beside_them_are_checked_as_both() -> None:
    config = view(
        '<Video name="video" value="$v"/><VideoVector name="line" toName="video"/>'
        '<Labels name="label" toName="video"><Label value="lane"/></Labels>'
    )
    frame = {"frame": 1, "time": 0.1, "vertices": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}
    answer = [region("videovectorlabels", "label", "video", {"sequence": [frame], "videovectorlabels": ["lane"]})]
    assert check(answer, config) is None
    assert "'sea'" in str(check(changed(answer, "0.value.videovectorlabels", ["sea"]), config))
    assert "must hold a label" in str(check(changed(answer, "0.value.videovectorlabels", []), config))
    assert "vertices" in str(check(changed(answer, "0.value.sequence.0.vertices", []), config))


def test_labels_from_task_data_may_be_any() -> None:
    config = view(
        '<Text name="text" value="$text"/>'
        '<Choices name="choice" toName="text" value="$options"><Choice value="other"/></Choices>'
    )
    assert check([region("choices", "choice", "text", {"choices": ["whatever"]})], config) is None


def test_nested_choices_and_taxonomies_are_paths_of_known_labels() -> None:
    tree = '<Choice value="A"><Choice value="B"/></Choice>'
    config = view(
        f'<Text name="text" value="$text"/><Choices name="choice" toName="text" allowNested="true">{tree}</Choices>'
        f'<Taxonomy name="tax" toName="text">{tree}</Taxonomy>'
    )
    answer = [
        region("choices", "choice", "text", {"choices": [["A", "B"]]}),
        region("taxonomy", "tax", "text", {"taxonomy": [["A"], ["A", "B"]]}),
    ]
    assert check(answer, config) is None
    assert "'C'" in str(check(changed(answer, "1.value.taxonomy.1", ["A", "C"]), config))
    assert "must be a list" in str(check(changed(answer, "1.value.taxonomy.1", "A"), config))


@pytest.mark.parametrize(
    ("tags", "value", "reason"),
    [
        ('<HyperText name="o" value="$o"/>', {"start": "/p[1]/text()[1]", "end": "/p[2]", "startOffset": 3}, None),
        ('<HyperText name="o" value="$o"/>', {"start": "/p[1]", "end": "/p[2]", "startOffset": -3}, "startOffset"),
        ('<HyperText name="o" value="$o"/>', {"start": 4, "end": 2}, "end 2 must be after start 4"),
        ('<Paragraphs name="o" value="$o"/>', {"start": "0", "end": "2", "startOffset": 1, "endOffset": 2}, None),
        ('<Paragraphs name="o" value="$o"/>', {"start": "3", "end": "2"}, "end 2 must not be before start 3"),
        ('<Paragraphs name="o" value="$o"/>', {"start": "three", "end": "4"}, "start 'three'"),
        ('<TimeSeries name="o" value="$o"/>', {"start": "2020-01-01", "end": "2020-01-02"}, None),
        ('<TimeSeries name="o" value="$o"/>', {"start": "2020-01-01", "end": 5}, "end 5 must be a text"),
        ('<Wobble name="o" value="$o"/>', {"start": "a", "end": "b"}, None),
        ('<Wobble name="o" value="$o"/>', {"start": "a"}, "has no start and end"),
    ],
)
def test_spans_follow_the_kind_of_object_they_lie_on(tags: str, value: JsonObject, reason: str | None) -> None:
    config = view(f'{tags}<Labels name="label" toName="o"><Label value="x"/></Labels>')
    verdict = check([region("labels", "label", "o", value | {"labels": ["x"]})], config)
    assert verdict is None if reason is None else reason in str(verdict)


@pytest.mark.parametrize(
    ("control", "value", "reason"),
    [
        ('<Number name="c" toName="image" min="2" max="5"/>', {"number": 3}, None),
        ('<Number name="c" toName="image" min="2" max="5"/>', {"number": 1}, "at least 2"),
        ('<Number name="c" toName="image" min="2" max="5"/>', {"number": 6}, "at most 5"),
        ('<Number name="c" toName="image"/>', {"number": math.inf}, "finite"),
        ('<DateTime name="c" toName="image"/>', {"datetime": "2026-01-02"}, None),
        ('<DateTime name="c" toName="image"/>', {"datetime": 5}, "must be a text"),
        ('<Ellipse name="c" toName="image"/>', {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "rotation": 9}, None),
        ('<Ellipse name="c" toName="image"/>', {"x": 50, "y": 50, "radiusX": -1, "radiusY": 5}, "radiusX"),
        ('<Vector name="c" toName="image"/>', {"vertices": [{"x": 1, "y": 2}]}, None),
        ('<Vector name="c" toName="image"/>', {"vertices": [{"x": 1, "y": 200}]}, "y 200"),
        ('<Bitmask name="c" toName="image"/>', {"imageDataURL": "data:image/png;base64,iVBO"}, None),
        ('<Bitmask name="c" toName="image"/>', {}, "imageDataURL"),
        ('<OcrLabels name="c" toName="image"/>', {"x": 1, "y": 2, "width": 3, "height": 4, "ocrlabels": ["a"]}, None),
        ('<OcrLabels name="c" toName="image"/>', {"x": 1, "y": 2, "width": 3, "ocrlabels": ["a"]}, "height is missing"),
        ('<Wobble name="c" toName="image"/>', {"anything": [1]}, None),
        ('<ReactCode name="c" toName="image"/>', {"reactcode": {"a": 1}}, None),
        ('<ReactCode name="c" toName="image"/>', {"reactcode": 1}, "reactcode must be an object"),
    ],
)
def test_rarer_controls_have_their_rules_and_unknown_ones_pass(
    control: str, value: JsonObject, reason: str | None
) -> None:
    config = view(f'<Image name="image" value="$i"/>{control}')
    verdict = check([region(config.controls["c"].kind, "c", "image", value)], config)
    assert verdict is None if reason is None else reason in str(verdict)


def test_chat_messages_need_a_role_and_content() -> None:
    config = view('<Chat name="chat" value="$messages"/>')
    answer = [region("chatmessage", "chat", "chat", {"chatmessage": {"role": "user", "content": "hi"}})]
    assert check(answer, config) is None
    assert "lacks role or content" in str(check(changed(answer, "0.value.chatmessage.role", DELETE), config))
    assert "must be an object" in str(check(changed(answer, "0.value.chatmessage", "hi"), config))


# ---------------------------------------------------------------- any JSON


@given(st.sampled_from(list(TASKS)), JSON)
def test_any_json_gets_a_verdict(task: str, result: object) -> None:
    verdict = check(result, CONFIGS[task], DATA)
    assert verdict is None or (isinstance(verdict, str) and verdict)
    assert isinstance(labels_of(result), tuple)


@given(st.data())
def test_any_json_in_any_place_of_an_answer_gets_a_verdict(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(list(TASKS)))
    answer = ANSWERS[task]
    for _ in range(data.draw(st.integers(1, 3))):
        answer = changed(answer, data.draw(st.sampled_from(_places(answer))), data.draw(TWEAKS))
    verdict = check(answer, CONFIGS[task], data.draw(st.dictionaries(st.just("text"), JSON)))
    assert verdict is None or (isinstance(verdict, str) and len(verdict) < 500)
    assert all(isinstance(label, str) for label in labels_of(answer))


# ---------------------------------------------------------------- labels


def test_labels_of_an_answer_are_distinct_and_sorted() -> None:
    assert labels_of(ANSWERS["object-detection"] * 2) == ("car", "person")
    assert labels_of(ANSWERS["ocr"]) == ("text",)
    assert labels_of(ANSWERS["image-multi-classification"]) == ("indoor", "people")
    assert labels_of(ANSWERS["video-object-tracking"]) == ("car",)
    assert labels_of(ANSWERS["transcription"]) == labels_of([]) == labels_of(None) == ()


def test_of_a_path_the_last_part_is_the_label() -> None:
    answer = [
        region("taxonomy", "tax", "text", {"taxonomy": [["A", "B"], ["C"], []]}),
        region("choices", "choice", "text", {"choices": [["A", "D"], "E"]}),
    ]
    assert labels_of(answer) == ("B", "C", "D", "E")
