"""JSON objects become task data, or are refused with the reason."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.decoding import MAX_DEPTH
from syncd.domain.errors import Rejected
from syncd.domain.labels.configs import parse_label_config
from syncd.domain.labels.task_data import json_task_data

PAIR = parse_label_config('<View><Text name="a" value="$left"/><Text name="b" value="$meta.right"/></View>')
RANKING = parse_label_config('<View><List name="l" value="$items"/></View>')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON .line 1"),
        ('{"left": 1\n!}', "no JSON .line 2.*'left', 'meta.right'"),
        ('{"left": NaN}', "no JSON"),
        ('["x", "y"]', "is a list; .*'left', 'meta.right'"),
        ("1.5", "is a number"),
        ("{}", "lacks 'left', 'meta.right'"),
        ('{"left": "x", "meta": "right"}', "lacks 'meta.right'"),
        ('{"left": "x", "meta": {"right": "\\u0000"}}', "NUL"),
        ('{"left": "x", "meta": {"right": "y"}, "\\u0000": 1}', "NUL"),
        ('{"left": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + ', "meta": {"right": "y"}}', "nested more than 64"),
        ("[" * 100_000, "no JSON"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_such_json_is_rejected_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        json_task_data(PAIR, text)


@pytest.mark.parametrize(("text", "found"), [('{"items": "x"}', "a text"), ('{"items": {}}', "an object")])
def test_a_list_tag_takes_lists_only(text: str, found: str) -> None:
    with pytest.raises(Rejected, match=f"'items' in the JSON object is {found}; <List> shows a list"):
        json_task_data(RANKING, text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
)


@given(st.dictionaries(st.text("abc"), JSON), JSON, JSON)
def test_values_are_kept_as_they_are(more: dict[str, object], left: object, right: object) -> None:
    data = {**more, "left": left, "meta": {"right": right}}
    assert json_task_data(PAIR, orjson.dumps(data).decode()) == data


@given(st.text() | st.text('{}[]":,1left'))
def test_any_text_is_taken_or_rejected(text: str) -> None:
    try:
        assert "items" in json_task_data(RANKING, text)
    except Rejected:
        return
