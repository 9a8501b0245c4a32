"""An emulator's SNS pushes to the source: ministack signs with the word FAKE, so nothing of it may be believed."""

import json
from typing import Any

import pytest
from aiobotocore.session import get_session

from syncd.ports import Deliver, Pushed, Reply
from syncd.sources.sns import SnsSource
from tests.aws_emulators import KEY, REGION, Emulator
from tests.sources.amazon import TOPIC, records
from tests.sources.pushing import listening, made
from tests.sources.waiting import until

CONFIGURED = TOPIC.replace("123456789012", "000000000000").replace("photos", "pushed-photos")


class Watched(SnsSource):
    """The source, and what was posted to it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.posted: list[dict[str, str]] = []

    async def receive(self, request: Pushed, deliver: Deliver) -> Reply:
        self.posted.append(json.loads(request.body))
        return await super().receive(request, deliver)


async def test_what_ministack_signs_is_refused_and_its_subscription_is_not_confirmed(
    ministack: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    async def fetch(url: str, _: object) -> tuple[int, bytes]:  # a double: that would be a request to Amazon itself
        fetched.append(url)
        return 404, b""

    monkeypatch.setattr("syncd.sources.sns_trust.fetch", fetch)
    monkeypatch.setattr("syncd.sources.sns.fetch", fetch)
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
    source = made(Watched, topics=[CONFIGURED], signature_versions=["1", "2"])
    async with (
        listening(source) as post,
        get_session().create_client("sns", endpoint_url=ministack.endpoint, **keys) as sns,
    ):
        topic = (await sns.create_topic(Name="pushed-photos"))["TopicArn"]
        await sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=post.url("/events/photos"))
        await until("the subscription is refused", lambda: post.counted)
        await sns.confirm_subscription(TopicArn=topic, Token=source.posted[0]["Token"])  # by hand, to see messages
        await sns.publish(TopicArn=topic, Message=records("a"), Subject="Amazon S3 Notification")
        await until("its message is refused", lambda: len(post.counted) == 2)
        assert [(said["Type"], said["TopicArn"], said["Signature"]) for said in source.posted] == [
            ("SubscriptionConfirmation", CONFIGURED, "FAKE"),
            ("Notification", CONFIGURED, "FAKE"),
        ]
        assert post.counted == [("events", 403)] * 2
        assert post.deliveries == 0
        assert fetched == []
