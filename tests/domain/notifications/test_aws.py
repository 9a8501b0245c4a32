"""What queues and topics of AWS carry: EventBridge's events, SNS's envelopes, and each other."""

import json
from typing import Any

import pytest

from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.aws import parse_aws
from syncd.domain.notifications.eventbridge import parse_eventbridge
from syncd.domain.notifications.sns import Envelope, signed_text, unwrap_sns
from tests.domain.notifications.sending import as_sent

NOW = 1000.0
LOOK = Observation(NOW)
CREATED: dict[str, Any] = {
    "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
    "account": "111122223333", "time": "2021-11-12T00:00:00Z", "region": "ca-central-1",
    "resources": ["arn:aws:s3:::photos"],
    "detail": {
        "version": "0", "event-version": "1.0", "bucket": {"name": "photos"},
        "object": {"key": "in/a b+%2B é.jpg", "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184",
                   "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "sequencer": "617f08299329d189"},
        "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "source-ip-address": "1.2.3.4",
        "reason": "PutObject",
    },
}  # fmt: skip


def event(kind: str = "Object Created", deletion: str | None = None, **thing: Any) -> bytes:
    changed = {**CREATED["detail"]["object"], **thing}
    kept = {name: value for name, value in changed.items() if value is not None}
    detail = {**CREATED["detail"], "object": kept} | ({"deletion-type": deletion} if deletion else {})
    return json.dumps({**CREATED, "detail-type": kind, "detail": detail}).encode()


def only(notices: Notices) -> Observation:
    ((ref, seen),) = notices.seen
    assert ref == ObjectRef("s3://photos", "in/a b+%2B é.jpg"), "EventBridge sends keys as they are"
    return seen


# ---------------------------------------------------------------- EventBridge


def test_eventbridge_says_which_version_and_in_which_order() -> None:
    assert only(parse_eventbridge(json.dumps(CREATED).encode(), NOW)) == Observation(
        NOW, "b1946ac92492d2347c6235b4d2611184", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "eventbridge:617F08299329D189", 5
    )


def test_etags_under_the_other_name_and_versions_that_are_none() -> None:
    seen = only(parse_eventbridge(event(etag=None, eTag='"abc"', **{"version-id": "null"}), NOW))
    assert (seen.etag, seen.version_id) == ("abc", None)  # as moto sends them


GONE = Observation(NOW, sequencer="eventbridge:617F08299329D189", gone=True)


@pytest.mark.parametrize(
    ("kind", "deletion", "version", "expected"),
    [
        ("Object Deleted", "Delete Marker Created", "v", GONE),
        ("Object Deleted", "Permanently Deleted", None, GONE),
        ("Object Deleted", "Permanently Deleted", "v", LOOK),
        ("Object Deleted", None, "v", LOOK),
        ("Object Restore Completed", None, None, LOOK),
    ],
)
def test_deletions_and_restores(kind: str, deletion: str | None, version: str | None, expected: Observation) -> None:
    assert only(parse_eventbridge(event(kind, deletion, **{"version-id": version}), NOW)) == expected


@pytest.mark.parametrize(
    ("changed", "counted"),
    [
        ({"detail-type": "Object Tags Added"}, "Object Tags Added"),
        ({"detail-type": "Object Restore Expired"}, "Object Restore Expired"),
        ({"detail-type": "Made Up"}, "other"),
        ({"source": "aws.ec2"}, "other_source"),
        ({"source": "aws.ec2", "detail": None}, "other_source"),
    ],
)
def test_other_events_of_the_bus_are_counted(changed: dict[str, Any], counted: str) -> None:
    assert parse_eventbridge(json.dumps({**CREATED, **changed}).encode(), NOW).ignored == {counted: 1}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"detail": None}, "malformed"),
        ({"detail": {}}, "malformed"),
        ({"version": "1"}, "unsupported_version"),
        ({"detail": {**CREATED["detail"], "version": "1"}}, "unsupported_version"),
    ],
)
def test_an_event_of_another_shape_is_bad(changed: dict[str, Any], reason: str) -> None:
    assert [bad.reason for bad in parse_eventbridge(json.dumps({**CREATED, **changed}).encode(), NOW).bad] == [reason]


@pytest.mark.parametrize("body", [b"{}", b'{"source": "aws.s3"}', b'{"source": 1, "detail-type": "x"}', b"[]"])
def test_what_is_no_event_of_the_bus_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_eventbridge(body, NOW)


# ---------------------------------------------------------------- SNS

NOTIFICATION: dict[str, Any] = {
    "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic", "Subject": "My First Message", "Message": "Hello world!",
    "Timestamp": "2012-05-02T00:54:06.655Z", "SignatureVersion": "1", "Signature": "EXAMPLEw6JRN==",
    "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
    "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
}  # fmt: skip
SUBSCRIPTION = {
    **{name: value for name, value in NOTIFICATION.items() if name not in {"Subject", "UnsubscribeURL"}},
    "Type": "SubscriptionConfirmation", "Token": "2336412f37f",
    "SubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37f",
}  # fmt: skip


def unwrapped(message: dict[str, Any]) -> Envelope:
    envelope = unwrap_sns(json.dumps(message).encode())
    assert envelope
    return envelope


def test_what_sns_signs_of_a_notification() -> None:
    assert signed_text(unwrapped(NOTIFICATION)).decode() == (
        "Message\nHello world!\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\nSubject\nMy First Message\n"
        "Timestamp\n2012-05-02T00:54:06.655Z\nTopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\n"
        "Type\nNotification\n"
    )


@pytest.mark.parametrize("absent", [{"Subject": None}, {}])
def test_a_subject_that_is_not_there_is_not_signed(absent: dict[str, Any]) -> None:
    message = {name: value for name, value in NOTIFICATION.items() if name != "Subject"} | absent
    assert b"Subject" not in signed_text(unwrapped(message))
    assert b"\nSubject\n\n" in signed_text(unwrapped({**NOTIFICATION, "Subject": ""}))


@pytest.mark.parametrize("type_", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_what_sns_signs_of_a_confirmation(type_: str) -> None:
    envelope = unwrapped({**SUBSCRIPTION, "Type": type_, "Subject": "never signed here"})
    assert signed_text(envelope).decode() == (
        "Message\nHello world!\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n"
        "SubscribeURL\nhttps://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37f\n"
        "Timestamp\n2012-05-02T00:54:06.655Z\nToken\n2336412f37f\n"
        f"TopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\nType\n{type_}\n"
    )


def test_lambda_spells_urls_in_its_own_way() -> None:
    spelled = {name.replace("URL", "Url"): value for name, value in SUBSCRIPTION.items()}
    assert unwrapped(spelled) == unwrapped(SUBSCRIPTION)


def test_text_of_any_language_is_signed_as_utf8() -> None:
    assert signed_text(unwrapped({**NOTIFICATION, "Message": "写真\n\U0001f408"})).startswith(
        "Message\n写真\n\U0001f408\n".encode()
    )


@pytest.mark.parametrize("missing", ["Type", "MessageId", "TopicArn", "Message", "Timestamp"])
@pytest.mark.parametrize("instead", [None, 7, []])
def test_what_lacks_a_member_is_no_envelope(missing: str, instead: object) -> None:
    assert unwrap_sns(json.dumps({**NOTIFICATION, missing: instead}).encode()) is None


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"7", b'{"Records": []}', b'{"Type": "Other"}'])
def test_other_json_is_no_envelope(body: bytes) -> None:
    assert unwrap_sns(body) is None


def test_what_is_no_json_is_rejected() -> None:
    with pytest.raises(Rejected):
        unwrap_sns(b"Type: Notification")


# ---------------------------------------------------------------- queues


def wrapped(message: bytes, **changed: Any) -> bytes:
    return json.dumps({**NOTIFICATION, "Message": message.decode(), **changed}).encode()


RECORDS = as_sent("s3", "photos", "in/a b+%2B é.jpg")


@pytest.mark.parametrize("body", [RECORDS, wrapped(RECORDS), wrapped(RECORDS, Subject=None)])
def test_records_come_plain_or_in_an_envelope(body: bytes) -> None:
    assert only(parse_aws(body, NOW)).sequencer == "s3:0055AED6DC000001E5"


@pytest.mark.parametrize("body", [event(), wrapped(event())])
def test_so_do_events_of_the_bus(body: bytes) -> None:
    assert only(parse_aws(body, NOW)).sequencer == "eventbridge:617F08299329D189"


TEST_EVENT = b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": "b"}'


@pytest.mark.parametrize("body", [TEST_EVENT, wrapped(TEST_EVENT)])
def test_so_do_test_events(body: bytes) -> None:
    assert parse_aws(body, NOW) == Notices(ignored={"TestEvent": 1})


def test_a_confirmation_in_a_queue_is_nothing() -> None:
    assert parse_aws(json.dumps(SUBSCRIPTION).encode(), NOW).ignored == {"subscription": 1}


@pytest.mark.parametrize(
    "body", [b"Hello", b"{}", wrapped(b"Hello world!"), wrapped(b"{}"), wrapped(b"[]"), wrapped(wrapped(RECORDS))]
)
def test_anything_else_in_a_queue_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        parse_aws(body, NOW)
