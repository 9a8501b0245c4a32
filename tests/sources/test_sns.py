"""SNS over HTTPS: who is believed, what is fetched, and what becomes of a message."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from syncd.domain.errors import Rejected, Retryable
from syncd.sources.sns import SnsOptions, SnsSource
from tests.clock import FakeClock
from tests.sources.amazon import TOPIC, Amazon, amazon, body, records, rsa_key
from tests.sources.pushing import Answer, Post, counted, listening, stores

NOW = 1_800_000_000.0


def iso(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass
class World:
    """The double of SNS, a receiver with one source, and the way between them."""

    aws: Amazon
    post: Post
    clock: FakeClock

    async def send(self, message: dict[str, str | None], **headers: str) -> Answer:
        return await self.post.post("/events/photos", body(message), **{"Content_Type": "text/plain", **headers})

    def message(self, text: str = "", **changed: Any) -> dict[str, str | None]:
        return self.aws.message(text, **{"Timestamp": iso(NOW - 5), **changed})

    def confirmation(self, **changed: Any) -> dict[str, str | None]:
        return self.aws.confirmation(**{"Timestamp": iso(NOW - 5), **changed})


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    clock = FakeClock(NOW)
    async with amazon() as aws:
        chosen = SnsOptions(buckets=("photos",), topics=(TOPIC,), **options)
        source = SnsSource("photos", chosen, stores=stores(), clock=clock, rules=aws.rules)
        async with listening(source) as post:
            yield World(aws, post, clock)


@pytest.fixture
async def w() -> AsyncIterator[World]:
    async with world() as made:
        yield made


# ------------------------------------------------------------ believed


async def test_a_signed_message_is_delivered_and_its_certificate_is_fetched_once(w: World) -> None:
    assert (await w.send(w.message(records("in/a+b.jpg")))).status == 204
    assert (await w.send(w.message(records("c.jpg")))).status == 204
    assert w.post.keys() == ["in/a b.jpg", "c.jpg"]
    assert w.aws.asked == ["/cert.pem"]
    assert w.post.counted == [("events", 204), ("events", 204)]


@pytest.mark.parametrize("subject", ["Amazon S3 Notification", "ünï 😀", None])
async def test_subjects_and_texts_of_any_characters_verify(w: World, subject: str | None) -> None:
    message = w.message(records("%F0%9F%98%80.jpg"), Subject=subject) | {"Subject": subject}
    assert (await w.send(message)).status == 204
    assert w.post.keys() == ["😀.jpg"]


async def test_the_names_of_urls_as_lambda_spells_them_are_understood(w: World) -> None:
    message = w.message(records("a"))
    message["SigningCertUrl"] = message.pop("SigningCertURL")
    assert (await w.send(message)).status == 204


async def test_json_as_its_content_type_is_fine_too(w: World) -> None:
    assert (await w.send(w.message(records("a")), Content_Type="application/json; charset=UTF-8")).status == 204
    assert (await w.send(w.message(records("a")), Content_Type="application/xml")).status == 415


async def test_signature_version_1_opens_only_where_it_is_configured(w: World) -> None:
    assert (await w.send(w.message(records("a"), version="1"))).status == 403
    assert w.aws.asked == []
    async with world(signature_versions=("1", "2")) as both:
        assert (await both.send(both.message(records("a"), version="1"))).status == 204
        assert (await both.send(both.message(records("b"), version="2"))).status == 204
        assert both.post.keys() == ["a", "b"]


async def test_an_event_of_eventbridge_may_come_through_a_topic(w: World) -> None:
    detail = {"bucket": {"name": "photos"}, "object": {"key": "a b", "etag": "e", "sequencer": "00A1"}}
    event = {"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    assert (await w.send(w.message(json.dumps(event)))).status == 204
    assert w.post.keys() == ["a b"]


async def test_a_test_event_and_a_foreign_bucket_are_taken_and_counted_but_not_delivered(w: World) -> None:
    before = counted("photos", "ignored", "TestEvent"), counted("photos", "unrouted")
    assert (await w.send(w.message(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})))).status == 204
    assert (await w.send(w.message(records("a", bucket="other")))).status == 204
    assert w.post.deliveries == 0
    assert (counted("photos", "ignored", "TestEvent"), counted("photos", "unrouted")) == (before[0] + 1, before[1] + 1)


# ------------------------------------------------------------ refused


@pytest.mark.parametrize(
    "changed",
    [
        {"TopicArn": "arn:aws:sns:us-east-1:123456789012:other"},
        {"TopicArn": TOPIC + "2"},
        {"version": "3"},
        {"version": ""},
        {"SignatureVersion": None},
        {"Timestamp": iso(NOW - 3601)},
        {"Timestamp": iso(NOW + 901)},
        {"Timestamp": "2026-11-20T10:00:00"},
        {"Timestamp": "yesterday"},
    ],
    ids=str,
)
@pytest.mark.parametrize("confirming", [False, True])
async def test_a_wrong_topic_version_or_age_is_refused_and_nothing_fetched(
    w: World, changed: dict[str, Any], confirming: bool
) -> None:
    made = w.confirmation if confirming else w.message
    assert (await w.send(made(**changed))).status == 403
    assert (w.aws.asked, w.post.deliveries) == ([], 0)


async def test_an_hour_is_the_oldest_a_message_may_be(w: World) -> None:
    assert (await w.send(w.message(records("a"), Timestamp=iso(NOW - 3600)))).status == 204


@pytest.mark.parametrize("tampered", ["Message", "Subject", "MessageId", "Timestamp"])
async def test_whatever_was_changed_behind_the_signature_is_refused(w: World, tampered: str) -> None:
    message = w.message(records("a"), Subject="before")
    message[tampered] = iso(NOW - 6) if tampered == "Timestamp" else f"{message[tampered]} "
    assert (await w.send(message)).status == 403
    assert w.post.deliveries == 0


@pytest.mark.parametrize("signature", ["", "FAKE", "not base64!", "AAAA", None])
async def test_a_signature_that_is_none_is_refused(w: World, signature: str | None) -> None:
    assert (await w.send(w.message(records("a")) | {"Signature": signature})).status == 403
    assert (w.aws.asked, w.post.deliveries) == ([], 0)


async def test_a_signature_of_another_key_is_refused(w: World) -> None:
    w.aws.key = rsa_key(1)
    assert (await w.send(w.message(records("a")))).status == 403


async def test_raw_delivery_carries_no_signature_and_is_refused(w: World) -> None:
    answer = await w.post.post(
        "/events/photos", records("a").encode(), Content_Type="text/plain", X_Amz_Sns_Rawdelivery="true"
    )
    assert answer.status == 403
    assert b"turn it off" in answer.body
    assert w.post.deliveries == 0


@pytest.mark.parametrize("text", [b"", b"no json", b"[]", b"{}", b'{"Type": "Other"}', b'{"Type": "Notification"}'])
async def test_what_is_no_message_of_sns_is_400(w: World, text: bytes) -> None:
    assert (await w.post.post("/events/photos", text, Content_Type="text/plain")).status == 400
    assert w.aws.asked == []


async def test_a_signed_text_that_is_no_notification_of_a_bucket_is_400(w: World) -> None:
    answer = await w.send(w.message("hello"))
    assert answer.status == 400
    assert b"hello" not in answer.body


@pytest.mark.parametrize("error", [Retryable("the disk is full"), Rejected("a surprise")])
async def test_trouble_of_our_own_is_always_503(w: World, error: Any) -> None:
    w.post.error = error
    answer = await w.send(w.message(records("a")))
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    w.post.error = None
    assert (await w.send(w.message(records("a")))).status == 204


# ------------------------------------------------------------ subscriptions


async def test_a_subscription_to_a_configured_topic_is_confirmed(w: World) -> None:
    assert (await w.send(w.confirmation())).status == 204
    assert w.aws.asked == ["/cert.pem", "/confirm?Token=2336412f37"]
    assert w.post.deliveries == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/iam",
        "https://169.254.169.254/latest",
        "https://127.0.0.1:{port}/confirm",
        "http://localhost:{port}/confirm",
        "https://localhost:{port}@127.0.0.1:{port}/confirm",
        "https://localhost:{port}\\@127.0.0.1:{port}/confirm",
        "file:///etc/passwd",
        "",
        None,
    ],
)
async def test_a_signed_confirmation_that_leads_elsewhere_is_not_followed(w: World, url: str | None) -> None:
    chosen = url and url.format(port=w.aws.port)
    assert (await w.send(w.confirmation(SubscribeURL=chosen))).status == 403
    assert w.aws.asked == ["/cert.pem"]


async def test_a_confirmation_without_its_token_is_refused(w: World) -> None:
    assert (await w.send(w.confirmation(Token=None))).status == 403
    assert w.aws.asked == ["/cert.pem"]


@pytest.mark.parametrize(("page", "status"), [(500, 503), (429, 503), (403, 403), (302, 403)])
async def test_sns_gives_another_try_where_it_was_down_itself(w: World, page: int, status: int) -> None:
    w.aws.pages["/confirm"] = (page, b"", w.aws.url("/elsewhere") if page == 302 else "")
    assert (await w.send(w.confirmation())).status == status
    assert "/elsewhere" not in w.aws.asked


async def test_an_end_of_the_subscription_is_noted_and_not_undone(w: World) -> None:
    assert (await w.send(w.confirmation(Type="UnsubscribeConfirmation"))).status == 204
    assert w.aws.asked == ["/cert.pem"]


# ------------------------------------------------------------ configuration


@pytest.mark.parametrize("topic", ["photos", "arn:aws:sqs:us-east-1:123456789012:photos", TOPIC + "\n", TOPIC[:-7]])
def test_a_topic_is_configured_by_its_arn(topic: str) -> None:
    with pytest.raises(ValidationError, match="must be the ARN of a topic"):
        SnsOptions(buckets=("photos",), topics=(topic,))


def test_an_empty_list_of_topics_opens_nothing() -> None:
    with pytest.raises(ValidationError):
        SnsOptions(buckets=("photos",), topics=())
