"""Any bytes become an event or a Rejected, and ids are all that is believed."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.decoding import MAX_DEPTH
from syncd.domain.errors import Rejected
from syncd.domain.events import MAX_ID, AnnotationEvent, parse_label_studio

NOTHING = AnnotationEvent()
TASK_ACTIONS = ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"]
ACTIONS = [*TASK_ACTIONS, "ANNOTATIONS_DELETED"]
NO_IDS = [None, True, False, 0, -1, 1.0, 1.5, "1", "", [], {}, [1], {"id": 1}, MAX_ID + 1, 2**64, 2**200]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
members = st.dictionaries(st.sampled_from(["id", "task", "result"]), json_values | st.integers(1, 9), max_size=3)
events = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(ACTIONS) | json_values,
        "annotation": members | st.lists(members | json_values, max_size=3) | json_values,
        "annotations": members | st.lists(members | json_values, max_size=3) | json_values,
        "task": members | st.lists(members, max_size=3) | json_values,
        "project": json_values,
    },
)


def parse(event: Any) -> AnnotationEvent:
    return parse_label_studio(json.dumps(event).encode())


@pytest.mark.parametrize("action", ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"])
def test_one_annotation_names_its_task_and_itself(action: str) -> None:
    event = {"action": action, "annotation": {"id": 5, "task": 7, "result": []}, "task": {"id": 7}, "project": {}}
    assert parse(event) == AnnotationEvent(("7",), ("5",))


def test_several_annotations_lie_in_lists_under_singular_names() -> None:
    event = {
        "action": "ANNOTATIONS_CREATED",
        "annotation": [{"id": 5, "task": 7}, {"id": 6, "task": 8}, {"id": 5, "task": 7}],
        "task": [{"id": 7}, {"id": 8}, {"id": 9}],
    }
    assert parse(event) == AnnotationEvent(("7", "8", "9"), ("5", "6"))


def test_deletions_name_annotations_only() -> None:
    event = {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}, {"id": 6}], "project": {"id": 1}}
    assert parse(event) == AnnotationEvent((), ("5", "6"))


def test_the_task_is_found_in_either_place() -> None:
    assert parse({"action": "ANNOTATION_CREATED", "annotation": {"id": 5, "task": 7}}).task_ids == ("7",)
    assert parse({"action": "ANNOTATION_CREATED", "task": {"id": 7}}).task_ids == ("7",)


@pytest.mark.parametrize("action", ["TASKS_CREATED", "PROJECT_UPDATED", "annotation_created", "", None, 7, [], {}])
def test_other_actions_say_nothing(action: object) -> None:
    assert parse({"action": action, "annotation": {"id": 5, "task": 7}, "task": {"id": 7}}) == NOTHING


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("member", [None, 1, "x", [], {}, [None, 1, "x", [], {}]])
def test_missing_and_odd_members_are_passed_over(action: str, member: object) -> None:
    assert parse({"action": action}) == NOTHING
    assert parse({"action": action, "annotation": member, "annotations": member, "task": member}) == NOTHING


@pytest.mark.parametrize("value", NO_IDS)
def test_what_is_no_positive_64_bit_integer_is_no_id(value: object) -> None:
    for action in ACTIONS:
        odd = {"id": value, "task": value}
        assert parse({"action": action, "annotation": odd, "annotations": [odd], "task": odd}) == NOTHING


def test_the_largest_id_is_one() -> None:
    assert parse({"action": "ANNOTATION_CREATED", "task": {"id": MAX_ID}}).task_ids == (str(MAX_ID),)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b"{}x", b'{"a": NaN}', b"{'a': 1}"])
def test_what_can_never_be_an_event_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_label_studio(body)


def nested(depth: int) -> bytes:
    return b'{"action":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 100_000])
def test_deep_nesting_is_rejected(depth: int) -> None:
    with pytest.raises(Rejected):
        parse_label_studio(nested(depth))


def test_nesting_is_not_what_strings_hold() -> None:
    assert parse_label_studio(nested(MAX_DEPTH)) == NOTHING
    assert parse({"action": "x", "text": '\\"' + "[{" * 100}) == NOTHING


@given(st.binary())
def test_any_bytes_are_an_event_or_rejected(body: bytes) -> None:
    with suppress(Rejected):
        assert isinstance(parse_label_studio(body), AnnotationEvent)


@given(events)
def test_any_event_gives_only_ids(event: dict[str, Any]) -> None:
    parsed = parse(event)
    for ids in (parsed.task_ids, parsed.annotation_ids):
        assert all(id_.isdecimal() and str(int(id_)) == id_ and 0 < int(id_) <= MAX_ID for id_ in ids)
        assert len(set(ids)) == len(ids)
