"""A real Ceph RGW pushes topics to the source of type `ceph`. Needs Debian's packages of Ceph: `-m system`."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from syncd.domain.errors import Retryable
from syncd.sources.ceph import CephSource
from tests.ceph import SECURE, Ceph
from tests.domain.notifications.hostile import HOSTILE_KEYS
from tests.known_secrets import known
from tests.sources.pushing import Post, listening, made
from tests.sources.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

TOKEN = known("the/topic+s=token")
END = "the-end"


@dataclass
class Bucket:
    """A fresh bucket whose events go to the receiver."""

    name: str
    s3: Any
    post: Post

    async def put(self, key: str, body: bytes = b"x") -> None:
        await self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    async def delete(self, key: str) -> None:
        await self.s3.delete_object(Bucket=self.name, Key=key)


@asynccontextmanager
async def bucket_of(
    ceph: Ceph, opaque: str = TOKEN, user: str = "", persistent: str = "false"
) -> AsyncIterator[Bucket]:
    name = f"b{uuid.uuid4().hex[:12]}"
    source = made(CephSource, url=f"s3://{name}", tokens=[{"env": "CEPH_TOKEN"}])
    session = get_session()
    async with (
        session.create_client("s3", **ceph.client) as s3,
        session.create_client("sns", **ceph.client) as sns,
        listening(source) as post,
    ):
        sns.meta.events.register("before-send.*", lambda request, **_: request.headers.update(SECURE))
        endpoint = f"http://{user}127.0.0.1:{post.port}/events/photos"
        about = {"push-endpoint": endpoint, "OpaqueData": opaque, "persistent": persistent}
        topic = await sns.create_topic(Name=name, Attributes=about)
        await s3.create_bucket(Bucket=name)
        wanted = {"Id": "syncd", "TopicArn": topic["TopicArn"], "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        await s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"TopicConfigurations": [wanted]}
        )
        yield Bucket(name, s3, post)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEPH_TOKEN", TOKEN)


async def test_hostile_keys_are_told_as_the_bucket_lists_them(ceph: Ceph) -> None:
    async with bucket_of(ceph) as bucket:
        for key in (*HOSTILE_KEYS, END):
            with suppress(ClientError):  # a key this server does not take
                await bucket.put(key)
        listed = await bucket.s3.list_objects_v2(Bucket=bucket.name)
        keys = {thing["Key"] for thing in listed["Contents"]}
        await until("all are told", lambda: keys <= set(bucket.post.keys()))
    assert len(keys) > 35
    assert set(bucket.post.keys()) == keys
    assert bucket.post.bad == []


async def test_what_happens_to_one_key_is_told_in_an_order_that_can_be_seen(ceph: Ceph) -> None:
    async with bucket_of(ceph) as bucket:
        for n in range(10):
            await bucket.put("a b", b"x" * n)
            await bucket.delete("a b")
        await until("all is told", lambda: len(bucket.post.seen) == 20)
    sights = [sight for _, sight in bucket.post.seen]
    assert [sight.gone for sight in sights] == [False, True] * 10
    orders = [sight.sequencer or "" for sight in sights]
    assert all(orders)
    assert orders == sorted(set(orders))
    assert [sight.size for sight in sights if not sight.gone] == list(range(10))


async def test_another_token_is_refused_and_nothing_is_delivered(ceph: Ceph) -> None:
    async with bucket_of(ceph, opaque="another") as bucket:
        await bucket.put("a")
        await until("it is refused", lambda: ("events", 401) in bucket.post.counted)
        assert bucket.post.deliveries == 0


async def test_the_password_of_a_push_endpoint_is_a_token_too(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEPH_TOKEN", "password")
    async with bucket_of(ceph, opaque="", user="syncd:password@") as bucket:
        await bucket.put("a")
        await until("it is told", lambda: bucket.post.keys() == ["a"])


async def test_a_persistent_topic_comes_again_after_our_trouble(ceph: Ceph) -> None:
    async with bucket_of(ceph, persistent="true") as bucket:
        bucket.post.error = Retryable("the disk is full")
        await bucket.put("a")
        await until("it was told three times", lambda: bucket.post.counted.count(("events", 503)) >= 3, within=120)
        bucket.post.error = None
        await until("it is delivered", lambda: bucket.post.keys()[-1:] == ["a"], within=120)
