"""Our own schema: what an uploader may say, and that what it shows in OpenAPI is what is taken."""

import json
from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.plain import PlainEvents, parse_plain

NOW = 1000.0
LOOK = Observation(NOW)
NAMES = {"photos": "s3://team-photos"}


def parse(*events: Any, bucket: Any = "photos") -> Notices:
    return parse_plain(json.dumps({"bucket": bucket, "events": events}).encode(), NOW, NAMES)


def only(event: dict[str, Any]) -> Observation:
    ((ref, seen),) = parse({"key": "in/a b+%2F é.jpg", **event}).seen
    assert ref == ObjectRef("s3://team-photos", "in/a b+%2F é.jpg")
    return seen


def test_the_smallest_event_says_look_at_the_object() -> None:
    assert only({"type": "created"}) == LOOK
    assert only({"type": "deleted"}) == LOOK
    assert only({"type": "created", "etag": "abc", "size": 5}) == LOOK, "for nobody knows what else happened since"


def test_with_a_sequencer_it_is_believed() -> None:
    said = {"type": "created", "etag": '"abc"', "version_id": "v1", "size": 5, "sequencer": 17}
    assert only(said) == Observation(NOW, "abc", "v1", "plain:00000000000000000017", 5)
    assert only({"type": "deleted", "sequencer": "18a"}) == Observation(NOW, sequencer="plain:18a", gone=True)


@pytest.mark.parametrize("url", ["s3://photos", "gs://photos", "az://photos", "file:///data/my%20photos"])
def test_a_bucket_may_be_named_by_its_url(url: str) -> None:
    assert [ref.bucket for ref, _ in parse({"type": "created", "key": "a"}, bucket=url).seen] == [url]


@pytest.mark.parametrize(
    "bucket", ["unknown", "s3://", "s3://a b", "s3://photos/", "S3://photos", "", "s3:/x", "é://x"]
)
def test_what_is_no_bucket_is_bad(bucket: str) -> None:
    assert [bad.reason for bad in parse({"type": "created", "key": "a"}, bucket=bucket).bad] == ["malformed"]


@pytest.mark.parametrize(
    ("event", "reason", "names"),
    [
        (7, "malformed", "event"),
        ({}, "malformed", "key, type"),
        ({"type": "touched", "key": "a"}, "malformed", "type"),
        ({"type": "created", "key": 7}, "malformed", "key"),
        ({"type": "created", "key": "a", "size": -1}, "malformed", "size"),
        ({"type": "created", "key": "a", "size": "5"}, "malformed", "size"),
        ({"type": "created", "key": "a", "size": 2**63}, "malformed", "size"),
        ({"type": "created", "key": "a", "size": 1.0}, "malformed", "size"),
        ({"type": "created", "key": "a", "size": True}, "malformed", "size"),
        ({"type": "created", "key": "a", "sequencer": "a b"}, "malformed", "sequencer"),
        ({"type": "created", "key": "a", "sequencer": "é"}, "malformed", "sequencer"),
        ({"type": "created", "key": "a", "sequencer": "1\n"}, "malformed", "sequencer"),
        ({"type": "created", "key": "a", "sequencer": -1}, "malformed", "sequencer"),
        ({"type": "created", "key": "a", "sequencer": 1.5}, "malformed", "sequencer"),
        ({"type": "created", "key": "a\0b"}, "invalid_key", "NUL"),
        ({"type": "created", "key": ""}, "invalid_key", "empty"),
        ({"type": "created", "key": "é" * 513}, "invalid_key", "1024"),
    ],
)
def test_a_wrong_event_is_bad_alone_and_nothing_of_it_is_repeated(event: Any, reason: str, names: str) -> None:
    notices = parse(event, {"type": "created", "key": "good.jpg", "unknown": [1]})
    assert [ref.key for ref, _ in notices.seen] == ["good.jpg"]
    (bad,) = notices.bad
    assert bad.reason == reason
    assert names in bad.detail
    assert "touched" not in bad.detail


def test_directory_markers_are_passed_over() -> None:
    assert parse({"type": "created", "key": "a/"}).ignored == {"directory": 1}


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"bucket": "photos"}', b'{"bucket": 7, "events": []}', b'{"bucket": "b", "events": {}}']
)
def test_another_shape_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected, match=r"bucket|object"):
        parse_plain(body, NOW)


def test_openapi_shows_what_is_taken() -> None:
    schema = PlainEvents.model_json_schema()
    event = schema["$defs"]["PlainEvent"]
    assert schema["required"] == ["bucket", "events"]
    assert event["required"] == ["type", "key"]
    assert set(event["properties"]) == {"type", "key", "etag", "version_id", "size", "sequencer"}
    assert all("description" in of for of in (*schema["properties"].values(), *event["properties"].values()))
