"""When a trigger fires, and what its events look like to a receiver that knows nothing of syncd."""

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from syncd.domain.model import DatasetStats, JsonObject, VersionInfo
from syncd.domain.triggers import Conditions, Interest, tag_event, timestamp, version_event

NOON = 1_767_268_800.0
V7 = VersionInfo("fruits", 7, NOON, 120, 10, 2, 1, {"submitted": 118, "skipped": 2}, "abc")
TABLE = "s3://lab/snapshots/fruits"


@dataclass(frozen=True)
class Moved:
    tag: str = "production"
    at: float = NOON + 0.25
    by: str = "ana"


def read(event: JsonObject) -> CloudEvent:
    """As the official library reads it; it raises where the event breaks the specification."""
    found = JSONFormat().read(CloudEvent, orjson.dumps(event))
    assert isinstance(found, CloudEvent)
    return found


def test_a_new_version_is_a_cloud_event() -> None:
    event = read(version_event("fruits/v7/retrain", TABLE, V7, {"pear": 40, "apple": 78}))
    assert event.get_id() == "fruits/v7/retrain"
    assert event.get_source() == TABLE
    assert event.get_type() == "io.syncd.snapshot.version.created"
    assert event.get_subject() == "v7"
    assert event.get_time() == datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {
        "dataset": "fruits",
        "version": "v7",
        "number": 7,
        "uri": f"{TABLE}@v7",
        "rows": 120,
        "inserted": 10,
        "updated": 2,
        "deleted": 1,
        "by_status": {"submitted": 118, "skipped": 2},
        "labels": {"apple": 78, "pear": 40},
        "label_config_hash": "abc",
    }


def test_a_moved_tag_is_a_cloud_event_that_names_the_version_it_points_at() -> None:
    event = read(tag_event("fruits/tag-3/deploy", TABLE, Moved(), V7, {}))
    assert (event.get_type(), event.get_subject()) == ("io.syncd.snapshot.tag.moved", "production")
    data = event.get_data()
    assert isinstance(data, dict)
    assert (data["tag"], data["moved_by"], data["uri"]) == ("production", "ana", f"{TABLE}@v7")
    assert event.get_time() == datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "versions", "tags"),
    [
        (["version"], True, []),
        (["tag"], False, ["production", "beta"]),
        (["tag:production"], False, ["production"]),
        (["version", "tag:beta", "tag:production"], True, ["production", "beta"]),
    ],
)
def test_what_a_trigger_fires_on(words: list[str], versions: bool, tags: list[str]) -> None:
    interest = Interest.of(words)
    assert interest.versions is versions
    assert [tag for tag in ("production", "beta") if interest.in_tag(tag)] == tags


@pytest.mark.parametrize("word", ["versions", "tags", "tag:", "tag: ", "production", ""])
def test_anything_else_is_named(word: str) -> None:
    with pytest.raises(ValueError, match="nothing to fire on"):
        Interest.of(["version", word])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [(100, ""), (101, ""), (99, "99 rows changed since it last fired, 100 are wanted"), (0, "0 rows changed since")],
)
def test_so_many_rows_must_have_changed(changed: int, reason: str) -> None:
    found = Conditions(min_changed_rows=100).against_count(changed)
    assert found.startswith(reason)
    assert bool(found) is bool(reason)


@pytest.mark.parametrize(
    ("fired_at", "now", "reason"),
    [
        (0.0, NOON, ""),
        (NOON - 3600, NOON, ""),
        (NOON - 3599, NOON, "not before 2026-01-01T12:00:01Z"),
        (NOON, NOON, "not before 2026-01-01T13:00:00Z"),
    ],
)
def test_it_fires_at_most_so_often(fired_at: float, now: float, reason: str) -> None:
    assert Conditions(at_most_every=3600).against_time(fired_at, now) == reason


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({"cat": 60, "dog": 40}, ""),
        ({"cat": 61, "dog": 39}, "61% of all labels are 'cat', 60% at most are wanted"),
        ({"cat": 9, "dog": 8}, "'cat' has 9 rows, 10 of each label are wanted"),
        ({"cat": 10}, "100% of all labels are 'cat', 60% at most are wanted"),
        ({}, "'cat' has 0 rows, 10 of each label are wanted"),
    ],
)
def test_labels_must_be_balanced(counts: dict[str, int], reason: str) -> None:
    wanted = Conditions(max_label_share=0.6, min_rows_per_label=10)
    assert wanted.against_balance(counts, ["cat", "dog"]) == reason


@pytest.mark.parametrize(
    ("tasks", "labelled", "reason"),
    [
        (10, 8, ""),
        (10, 10, ""),
        (10, 7, "7 of 10 tasks are labelled, 80% are wanted"),
        (0, 0, "0 of 0 tasks are labelled, 80% are wanted"),
    ],
)
def test_so_many_tasks_must_be_labelled(tasks: int, labelled: int, reason: str) -> None:
    stats = DatasetStats(tasks, labelled, labelled)
    assert Conditions(min_labelled_share=0.8).against_share(stats) == reason


def test_without_conditions_nothing_is_held_back() -> None:
    none = Conditions()
    assert not none.any
    assert not none.about_labels
    assert none.against_count(0) == none.against_time(NOON, NOON) == none.against_balance({"cat": 9}, ["dog"]) == ""
    assert none.against_share(DatasetStats(0, 0, 0)) == ""


def test_times_are_utc() -> None:
    assert timestamp(NOON) == "2026-01-01T12:00:00.000Z"
