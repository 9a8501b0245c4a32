"""CloudEvents in their three modes: one event, one meaning."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.cloudevents import BATCHED, STRUCTURED, parse_cloudevents
from tests.domain.notifications.sending import ETAG, as_sent, bucket_url

NOW = 1000.0
OF = ["eventarc", "event_grid_cloudevents", "cloudevents"]


def structured(event: Any) -> Notices:
    return parse_cloudevents({"content-type": f"{STRUCTURED}; charset=utf-8"}, json.dumps(event).encode(), NOW)


def batched(*events: Any) -> Notices:
    return parse_cloudevents({"content-type": f"{BATCHED}; charset=UTF-8"}, json.dumps(events).encode(), NOW)


def binary(event: dict[str, Any], content_type: str | None = "application/json; charset=utf-8") -> Notices:
    headers = {f"ce-{name}": quote(value, safe=":/ ") for name, value in event.items() if name != "data"}
    headers |= {"content-type": content_type} if content_type else {}
    return parse_cloudevents(headers, json.dumps(event.get("data")).encode(), NOW)


def sent(sender: str, key: str = "in/a b+%2F é.jpg", **changed: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(as_sent(sender, "photos", key))
    return {**event, **changed}


@pytest.mark.parametrize("sender", OF)
def test_the_three_modes_say_the_same(sender: str) -> None:
    event = sent(sender)
    ((ref, seen),) = structured(event).seen
    assert ref == ObjectRef(bucket_url(sender, "photos"), "in/a b+%2F é.jpg")
    assert (seen.etag, seen.size, seen.gone) == (ETAG, 5, False)
    assert structured(event) == batched(event) == binary(event) == binary(event, None)


@pytest.mark.parametrize("sender", OF)
def test_data_may_come_in_base64(sender: str) -> None:
    event = sent(sender)
    encoded = base64.b64encode(json.dumps(event.pop("data")).encode()).decode()
    assert structured({**event, "data_base64": encoded}) == structured(sent(sender))


def test_a_batch_mixes_senders_and_one_bad_event_is_bad_alone() -> None:
    gone = json.loads(as_sent("cloudevents", "photos", "b.jpg", gone=True, order=2))
    notices = batched(sent("eventarc"), {"specversion": "1.0", "type": "x"}, 7, sent("cloudevents"), gone)
    assert [ref.bucket for ref, _ in notices.seen] == ["gs://photos", "s3://photos", "s3://photos"]
    assert notices.seen[2][1] == Observation(NOW, sequencer="plain:00000000000000000002", gone=True)
    assert [bad.reason for bad in notices.bad] == ["malformed"]
    assert notices.ignored == {"other": 1}


@pytest.mark.parametrize(
    ("kind", "gone"), [("finalized", False), ("deleted", True), ("archived", True)]
)  # fmt: skip
def test_what_eventarc_tells_of_cloud_storage(kind: str, gone: bool) -> None:
    ((ref, seen),) = structured(sent("eventarc", type=f"google.cloud.storage.object.v1.{kind}")).seen
    assert ref.bucket == "gs://photos"
    assert (seen.gone, seen.sequencer) == (gone, f"gcs:00001700000000000001{int(gone)}")


@pytest.mark.parametrize(
    ("kind", "counted"),
    [
        ("google.cloud.storage.object.v1.metadataUpdated", "metadataUpdated"),
        ("google.cloud.storage.object.v2.finalized", "other"),
        ("google.cloud.audit.log.v1.written", "other"),
        ("Microsoft.Storage.BlobTierChanged", "BlobTierChanged"),
        ("dev.syncd.object.touched", "other"),
        ("com.example.anything", "other"),
    ],
)
def test_other_types_are_counted(kind: str, counted: str) -> None:
    assert structured({"specversion": "1.0", "type": kind, "data": {}}).ignored == {counted: 1}


def test_data_of_other_types_need_not_be_json() -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "com.example.x", "content-type": "text/plain"}
    assert parse_cloudevents(headers, b"hello", NOW).ignored == {"other": 1}


def test_a_directory_of_blobs_asks_for_a_rescan() -> None:
    assert structured(sent("event_grid_cloudevents", type="Microsoft.Storage.DirectoryDeleted")).rescan


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"specversion": "2.0", "type": "dev.syncd.object.created"}, "unsupported_version"),
        ({"specversion": "0.3", "type": "dev.syncd.object.created"}, "unsupported_version"),
        ({"specversion": "1.0"}, "malformed"),
        ({"specversion": "1.0", "type": 7}, "malformed"),
        ({"specversion": "1.0", "type": "dev.syncd.object.created"}, "malformed"),
        ({"specversion": "1.0", "type": "dev.syncd.object.created", "data": {"key": "a"}}, "malformed"),
        (
            {"specversion": "1.0", "type": "dev.syncd.object.created", "data": {"bucket": "x", "key": "a"}},
            "malformed",
        ),
        ({"specversion": "1.0", "type": "dev.syncd.object.created", "data": "x"}, "malformed"),
        ({"specversion": "1.0", "type": "dev.syncd.object.created", "data_base64": "é"}, "malformed"),
        ({"specversion": "1.0", "type": "dev.syncd.object.created", "data_base64": "YQ=="}, "malformed"),
        ({"specversion": "1.0", "type": "google.cloud.storage.object.v1.finalized", "data": {}}, "malformed"),
    ],
)
def test_an_event_of_another_shape_is_bad(event: dict[str, Any], reason: str) -> None:
    assert [bad.reason for bad in structured(event).bad] == [reason]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        ({"content-type": "application/json"}, b'{"specversion": "1.0", "type": "x"}'),
        ({"content-type": STRUCTURED}, b"[]"),
        ({"content-type": STRUCTURED}, b"x"),
        ({"content-type": BATCHED}, b"{}"),
        ({"content-type": "application/json", "ce-specversion": "1.0", "ce-type": "x"}, b"{"),
    ],
)
def test_what_is_no_cloudevent_is_rejected(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_cloudevents(headers, body, NOW)


def test_a_bucket_may_be_named_by_its_table() -> None:
    data = {"bucket": "photos", "key": "a.jpg"}
    body = json.dumps({"specversion": "1.0", "type": "dev.syncd.object.created", "data": data}).encode()
    notices = parse_cloudevents({"content-type": STRUCTURED}, body, NOW, {"photos": "gs://team-photos"})
    assert notices.seen == [(ObjectRef("gs://team-photos", "a.jpg"), Observation(NOW))]
