"""What changed between two sets of rows, and how the counts moved."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.diff import Counts, Diff, Update, compare, moved, update
from syncd.domain.model import Row, RowStatus
from tests.snapshots.rows import row

OTHER: dict[str, Any] = {"status": RowStatus.SKIPPED, "ground_truth": True, "retired": True, "lead_time": 2.5}
LABELS = st.frozensets(st.sampled_from(["cat", "dog", "owl"])).map(lambda labels: tuple(sorted(labels)))
ROWS = st.dictionaries(st.sampled_from("12345"), LABELS).map(
    lambda found: {id_: row(id_, labels=labels) for id_, labels in found.items()}
)


@pytest.mark.parametrize("name", [one.name for one in fields(Row) if one.name not in {"annotation_id", "digest"}])
def test_an_update_names_the_field_that_differs(name: str) -> None:
    old = row("1")
    new = replace(old, **{name: OTHER.get(name, ("dog",) if name == "labels" else "other")})
    assert update(old, new).fields == (name,)


def test_an_update_says_which_object_it_is_and_which_labels_came_and_left() -> None:
    old = row("1", key="a.jpg", labels=("ant", "cat", "owl"))
    new = row("1", key="a.jpg", labels=("bee", "cat", "elk"), result="[]")
    found = update(old, new)
    assert found == Update("1", "a.jpg", ("labels", "result"), ("bee", "elk"), ("ant", "owl"))
    assert found.labels == ("+bee", "+elk", "-ant", "-owl")


def test_counts_are_of_submitted_labels_and_of_all_rows_by_status_and_split() -> None:
    rows = [
        row("1", labels=("dog", "cat"), split="val"),
        row("2", labels=("cat",), split="train"),
        row("3", labels=("owl",), status=RowStatus.INVALID, split="train"),
        row("4", labels=(), status=RowStatus.SKIPPED),
    ]
    expected = Counts({"cat": 2, "dog": 1}, {"invalid": 1, "skipped": 1, "submitted": 2}, {"train": 2, "val": 1})
    assert compare({}, {one.annotation_id: one for one in rows}).after == expected
    assert list(expected.labels) == list(compare({}, {one.annotation_id: one for one in rows}).after.labels)


@given(ROWS, ROWS)
def test_a_diff_is_what_makes_one_side_the_other(before: dict[str, Row], after: dict[str, Row]) -> None:
    found = compare(before, after)
    touched = {*found.inserted, *(one.annotation_id for one in found.updated)}
    kept = {id_: one for id_, one in before.items() if id_ not in touched and id_ not in found.deleted}
    assert kept | {id_: after[id_] for id_ in touched} == after
    for one in found.updated:
        labels = {*before[one.annotation_id].labels} - {*one.labels_removed} | {*one.labels_added}
        assert labels == {*after[one.annotation_id].labels}


@given(ROWS, ROWS)
def test_a_diff_read_backwards_is_the_diff_of_the_sides_exchanged(
    before: dict[str, Row], after: dict[str, Row]
) -> None:
    there, back = compare(before, after), compare(after, before)
    turned = tuple(replace(u, labels_added=u.labels_removed, labels_removed=u.labels_added) for u in back.updated)
    assert there == Diff(back.deleted, turned, back.inserted, back.after, back.before)
    assert bool(there) is (before != after)


def test_moved_tells_each_count_before_and_after_and_its_difference() -> None:
    found = moved({"cat": 1_500, "dog": 2, "elk": 1}, {"cat": 3_000, "elk": 1, "owl": 5})
    assert found == [("cat", 1500, 3000, "+1,500"), ("dog", 2, 0, "-2"), ("elk", 1, 1, ""), ("owl", 0, 5, "+5")]
