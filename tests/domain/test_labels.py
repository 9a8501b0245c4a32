"""Label configs made from a task and labels are what Label Studio's own code accepts, with any label there is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.label_interface import LabelInterface

from syncd.domain.errors import ConfigError
from syncd.domain.labels import MAX_LABEL_LENGTH, MAX_LABELS, TASKS, label_config
from syncd.domain.labels.configs import parse_label_config

NASTY = (
    "A & B <c> 'd'",
    'say "hi"',
    "日本 語",
    "]]>",
    "name=\"text\" toName='nowhere'",
    "👩‍🚀",
    "true",
    "1e5",
    "x" * 200,
)
LABELLED = [task.name for task in TASKS.values() if task.labels != "none"]
UNLABELLED = [task.name for task in TASKS.values() if task.labels == "none"]


@pytest.mark.parametrize("task", LABELLED)
@pytest.mark.parametrize("labels", [NASTY, NASTY[:1]], ids=["many", "one"])
def test_label_studio_accepts_every_config_and_reads_the_same_labels(task: str, labels: tuple[str, ...]) -> None:
    xml = label_config(task, labels)

    interface = LabelInterface(xml)
    interface.validate()
    if task != "ranking":  # buckets are no labels to the SDK
        assert [set(control.labels) for control in interface.controls if control.labels] == [set(labels)]
    assert parse_label_config(xml).labels == labels


@pytest.mark.parametrize("task", UNLABELLED)
def test_tasks_without_labels_make_a_config_and_refuse_labels(task: str) -> None:
    LabelInterface(label_config(task, [])).validate()
    with pytest.raises(ConfigError, match="takes no labels"):
        label_config(task, ["cat"])


@pytest.mark.parametrize("task", TASKS)
def test_what_is_listed_of_a_task_is_what_its_config_is(task: str) -> None:
    listed = TASKS[task]
    parsed = parse_label_config(label_config(task, listed.example_labels))
    assert parsed.media_kind in listed.media
    assert parsed.labels == listed.example_labels
    assert listed.description
    assert listed.note


@pytest.mark.parametrize("task", TASKS)
def test_the_object_goes_into_the_variable_of_the_users_choice(task: str) -> None:
    parsed = parse_label_config(label_config(task, TASKS[task].example_labels, variable="my_data"))
    assert parsed.variables == (("my_data1", "my_data2") if task == "pairwise" else ("my_data",))


def test_a_config_reads_well_and_gives_the_first_ten_labels_a_hotkey() -> None:
    xml = label_config("image-classification", [f"label {n}" for n in range(11)])
    lines = xml.splitlines()
    assert lines[0] == "<View>"
    assert lines[2] == '  <Choices name="choice" toName="image" choice="single" showInline="true" required="true">'
    assert lines[3] == '    <Choice value="label 0" hotkey="1" />'
    assert lines[12] == '    <Choice value="label 9" hotkey="0" />'
    assert lines[13] == '    <Choice value="label 10" />'


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([], "at least one label, such as 'car'"),
        (["cat", "dog", "cat"], "each label once, not again: 'cat'"),
        ([" cat"], "white space"),
        (["cat\u00a0"], "white space"),
        ([""], "not empty"),
        (["x" * (MAX_LABEL_LENGTH + 1)], "at most 200 characters"),
        (["a\nb"], "line ends"),
        (["a\x00b"], "control characters"),
        (["a\ud800b"], "control characters"),
        (["a\ufffeb"], "control characters"),
        (["costs $5"], "Label Studio puts task data there"),
        ([5], "must be a text"),
        ("cat", "must be a list"),
        ([str(n) for n in range(MAX_LABELS + 1)], "at most 1000 labels"),
    ],
)
def test_labels_that_would_be_garbled_are_refused_with_the_reason(labels: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        label_config("object-detection", labels)
    assert {problem.field for problem in caught.value.problems} == {"labels"}


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        label_config("object-detektion", ["a", "a", " b"], colour="red")
    assert [problem.field for problem in caught.value.problems] == ["task", "labels", "labels"]
    assert "object-detection" in str(caught.value)


@pytest.mark.parametrize(
    ("task", "options", "field"),
    [
        ("object-detection", {"colour": "red"}, "options.colour"),
        ("object-detection", {"variable": "1x"}, "options.variable"),
        ("object-detection", {"variable": 5}, "options.variable"),
        ("time-series", {"channels": ()}, "options.channels"),
        ("time-series", {"channels": "velocity"}, "options.channels"),
        ("time-series", {"time_column": ""}, "options.time_column"),
        ("relations", {"relations": ["a\nb"]}, "options.relations"),
        ("video-object-tracking", {"frame_rate": "25"}, "options.frame_rate"),
        ("video-object-tracking", {"frame_rate": float("nan")}, "options.frame_rate"),
        ("rating", {"max_rating": 0}, "options.max_rating"),
        ("rating", {"max_rating": True}, "options.max_rating"),
    ],
)
def test_wrong_options_are_refused_by_name(task: str, options: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        label_config(task, TASKS[task].example_labels, **options)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_options_reach_the_config() -> None:
    series = label_config("time-series", ["run"], time_column="t", channels=["vx", "vy & vz"])
    assert 'timeColumn="t"' in series
    assert 'column="vy &amp; vz"' in series
    assert 'framerate="29.97"' in label_config("video-object-tracking", ["car"], frame_rate=29.97)
    assert 'maxRating="10"' in label_config("rating", [], max_rating=10)
    assert parse_label_config(label_config("relations", ["a"], relations=["owns", "is"])).relations == ("owns", "is")


def test_a_bucket_cannot_take_the_name_of_a_tag() -> None:
    with pytest.raises(ConfigError, match="a name of its own"):
        label_config("ranking", ["good", "rank"])


@given(st.sampled_from(LABELLED), st.lists(st.text(max_size=30), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_labels_come_back_unchanged_or_are_refused(task: str, labels: list[str]) -> None:
    try:
        xml = label_config(task, labels)
    except ConfigError:
        return
    assert parse_label_config(xml).labels == tuple(labels)
