"""Cloud Storage through Pub/Sub: attributes tell what happened, generations in which order."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.gcs import parse_gcs, unwrap_pubsub_push
from syncd.domain.planning import newer

NOW = 1000.0
REF = ObjectRef("gs://photos", "in/a b+%2Fé.jpg")
LOOK = Observation(NOW)

RESOURCE = {
    "kind": "storage#object", "id": "photos/in/a b+%2Fé.jpg/1700000000123456", "name": "in/a b+%2Fé.jpg",
    "bucket": "photos", "generation": "1700000000123456", "metageneration": "1", "contentType": "image/jpeg",
    "timeCreated": "2026-11-20T10:00:00.123Z", "storageClass": "STANDARD", "size": "5",
    "md5Hash": "XUFAKrxLKna5cZ2REBfFkg==", "crc32c": "mnG7TA==", "etag": "CMD5nJ7s3oIDEAE=",
}  # fmt: skip
ATTRIBUTES = {
    "notificationConfig": "projects/_/buckets/photos/notificationConfigs/3", "eventType": "OBJECT_FINALIZE",
    "payloadFormat": "JSON_API_V1", "bucketId": "photos", "objectId": "in/a b+%2Fé.jpg",
    "objectGeneration": "1700000000123456", "eventTime": "2026-11-20T10:00:00.123456Z",
}  # fmt: skip
GENERATION, ETAG, SEQUENCER = "1700000000123456", "5d41402abc4b2a76b9719d911017c592", "gcs:000017000000001234560"
WRITTEN = Observation(NOW, ETAG, GENERATION, SEQUENCER, 5)
ENDED = Observation(NOW, sequencer="gcs:000017000000001234561", gone=True)


def parse(attributes: Mapping[str, str | None] = {}, resource: Any = RESOURCE, data: bytes | None = None) -> Notices:
    changed = {**ATTRIBUTES, **attributes}
    kept = {name: value for name, value in changed.items() if value is not None}
    return parse_gcs(kept, json.dumps(resource).encode() if data is None else data, NOW)


def only(notices: Notices) -> Observation:
    ((ref, seen),) = notices.seen
    assert ref == REF
    return seen


def test_a_written_object_has_its_generation_and_the_etag_that_readers_see() -> None:
    assert only(parse()) == WRITTEN


@pytest.mark.parametrize(
    "of",
    [
        {"md5Hash": None},  # a composed object
        {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
        {"customerEncryption": {"encryptionAlgorithm": "AES256"}},
        {"md5Hash": "not base64"},
        {"md5Hash": "YQ=="},
    ],
)
def test_without_an_md5_the_generation_tells_the_version(of: dict[str, Any]) -> None:
    assert only(parse(resource={**RESOURCE, **of})) == Observation(NOW, None, GENERATION, SEQUENCER, 5)


BARE = Observation(NOW, None, GENERATION, SEQUENCER)


@pytest.mark.parametrize("resource", [[], None, {}, {**RESOURCE, "generation": "1700000000999999"}])
def test_of_data_that_speaks_of_another_version_or_of_none_nothing_is_believed(resource: Any) -> None:
    assert only(parse(resource=resource)) == BARE


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[" * 1000])
def test_attributes_say_enough_where_the_data_is_unreadable_or_none(data: bytes) -> None:
    assert only(parse(data=data)) == BARE
    assert only(parse({"payloadFormat": "NONE"})) == BARE
    assert only(parse({"eventType": "OBJECT_DELETE"}, data=data)) == ENDED


@pytest.mark.parametrize("kind", ["OBJECT_DELETE", "OBJECT_ARCHIVE"])
def test_a_deletion_comes_after_what_it_deleted_and_before_what_came_then(kind: str) -> None:
    ended = only(parse({"eventType": kind}))
    again = only(parse({"objectGeneration": "1700000000123457"}, {**RESOURCE, "generation": 1700000000123457}))
    assert ended == ENDED
    for one, other, later in [(WRITTEN, ended, ended), (ended, again, again), (WRITTEN, again, again)]:
        assert newer(one, other) == newer(other, one) == later


@pytest.mark.parametrize("kind", ["OBJECT_DELETE", "OBJECT_ARCHIVE"])
def test_the_end_of_an_overwritten_generation_is_not_the_objects(kind: str) -> None:
    assert parse({"eventType": kind, "overwrittenByGeneration": "1700000000123999"}).ignored == {"overwritten": 1}


def test_an_overwrite_is_a_write() -> None:
    assert only(parse({"overwroteGeneration": "1600000000000000"})) == WRITTEN


@pytest.mark.parametrize(
    ("kind", "counted"), [("OBJECT_METADATA_UPDATE", "OBJECT_METADATA_UPDATE"), ("OBJECT_X", "other"), ("", "other")]
)
def test_other_events_are_counted(kind: str, counted: str) -> None:
    assert parse({"eventType": kind}) == Notices([], [], {counted: 1})


@pytest.mark.parametrize("generation", ["", "0", "-1", "x", "1.5", "9" * 19, "9" * 30, "\u0661", None])
def test_a_generation_that_is_none_makes_it_a_look(generation: str | None) -> None:
    assert only(parse({"objectGeneration": generation})) == LOOK
    assert only(parse({"objectGeneration": generation, "eventType": "OBJECT_DELETE"})) == LOOK


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"objectId": "a\0b"}, "invalid_key"),
        ({"objectId": "x" * 1025}, "invalid_key"),
        ({"objectId": None}, "invalid_key"),
        ({"bucketId": "a b"}, "malformed"),
    ],
)
def test_what_names_no_object_is_bad(changed: dict[str, str | None], reason: str) -> None:
    assert [bad.reason for bad in parse(changed).bad] == [reason]


def test_folders_are_passed_over() -> None:
    assert parse({"objectId": "in/"}).ignored == {"directory": 1}


@pytest.mark.parametrize("missing", ["eventType", "bucketId"])
def test_a_message_of_another_topic_is_rejected(missing: str) -> None:
    with pytest.raises(Rejected, match="subscribe to a topic"):
        parse({missing: None})


# ---------------------------------------------------------------- push


def pushed(**message: Any) -> bytes:
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 1}).encode()


def test_a_pushed_message_is_unwrapped() -> None:
    data = base64.b64encode(json.dumps(RESOURCE).encode()).decode()
    body = pushed(attributes=ATTRIBUTES, data=data, messageId="2070443601311540", message_id="2070443601311540")
    attributes, raw, id_ = unwrap_pubsub_push(body)
    assert (attributes, id_) == (ATTRIBUTES, "2070443601311540")
    assert only(parse_gcs(attributes, raw, NOW)) == WRITTEN


@pytest.mark.parametrize("message", [{"messageId": "1"}, {"message_id": "1", "attributes": None, "data": None}])
def test_attributes_and_data_may_be_missing(message: dict[str, Any]) -> None:
    assert unwrap_pubsub_push(pushed(**message)) == ({}, b"", "1")


@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[]", b"x", b'{"message": null}', b'{"message": []}', pushed(attributes=[1]), pushed(data=7),
        pushed(attributes={"eventType": 7}), pushed(data="not base64"), pushed(data="é"), pushed(data="YQ"),
    ],
)  # fmt: skip
def test_what_pubsub_never_pushes_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        unwrap_pubsub_push(body)
