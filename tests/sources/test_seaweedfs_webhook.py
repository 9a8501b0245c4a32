"""A real SeaweedFS posts what happens in its buckets; the source delivers which objects to look at."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from syncd.domain.model import Observation
from syncd.sources.seaweedfs import SeaweedFSSource
from tests.domain.notifications.hostile import HOSTILE_KEYS
from tests.seaweed_webhook import TOKEN, WeedWebhook
from tests.sources.pushing import Post, counted, listening, made
from tests.sources.waiting import until

END = "the-end"


@dataclass
class Bucket:
    """A fresh bucket of the real server, an S3 client, and the receiver that hears of it."""

    name: str
    s3: Any
    post: Post

    async def put(self, *keys: str, body: bytes = b"x") -> None:
        for key in keys:
            await self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    async def told(self, *keys: str) -> None:
        """Wait until each of the keys was told."""
        await until(f"{keys} are told", lambda: set(keys) <= set(self.post.keys()))

    def forget(self) -> None:
        """Begin anew: what was told so far does not count."""
        self.post.seen.clear()


@asynccontextmanager
async def bucket_of(weed: WeedWebhook, *, listed: bool = True) -> AsyncIterator[Bucket]:
    name = f"b{uuid.uuid4().hex[:12]}"
    url = f"s3://{name}" if listed else "s3://another"
    source = made(SeaweedFSSource, name="weed", url=url, tokens=[{"env": "WEED_TOKEN"}])
    async with get_session().create_client("s3", **weed.client) as s3, listening(source, port=weed.port) as post:
        await s3.create_bucket(Bucket=name)
        yield Bucket(name, s3, post)


@pytest.fixture
async def bucket(weed_webhook: WeedWebhook, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    monkeypatch.setenv("WEED_TOKEN", TOKEN)
    async with bucket_of(weed_webhook) as made_now:
        yield made_now


async def test_writing_overwriting_and_deleting_each_say_look_at_the_object(bucket: Bucket) -> None:
    await bucket.put("in/a b+é.jpg")
    await bucket.told("in/a b+é.jpg")
    for act in (
        bucket.put("in/a b+é.jpg", body=b"longer"),
        bucket.s3.delete_object(Bucket=bucket.name, Key="in/a b+é.jpg"),
    ):
        bucket.forget()
        await act
        await bucket.told("in/a b+é.jpg")
    sight = bucket.post.last("in/a b+é.jpg")
    assert sight == Observation(sight.observed_at)
    assert {ref.bucket for ref, _ in bucket.post.seen} == {f"s3://{bucket.name}"}
    assert {status for _, status in bucket.post.counted} == {204}
    assert bucket.post.bad == []


async def test_copies_and_multipart_uploads_are_told_once_they_are_whole_and_never_by_their_parts(
    bucket: Bucket,
) -> None:
    await bucket.put("from")
    await bucket.s3.copy_object(Bucket=bucket.name, Key="to", CopySource={"Bucket": bucket.name, "Key": "from"})
    upload = await bucket.s3.create_multipart_upload(Bucket=bucket.name, Key="big")
    part = await bucket.s3.upload_part(
        Bucket=bucket.name, Key="big", UploadId=upload["UploadId"], PartNumber=1, Body=b"x" * 5_242_880
    )
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    await bucket.s3.complete_multipart_upload(
        Bucket=bucket.name, Key="big", UploadId=upload["UploadId"], MultipartUpload=parts
    )
    await bucket.told("from", "to", "big")
    assert set(bucket.post.keys()) == {"from", "to", "big"}


async def test_hostile_keys_are_told_as_the_bucket_lists_them(bucket: Bucket) -> None:
    for key in HOSTILE_KEYS:
        with suppress(ClientError):  # a key this server does not take
            await bucket.put(key)
    await bucket.put(END)
    listed = await bucket.s3.list_objects_v2(Bucket=bucket.name)
    keys = {thing["Key"] for thing in listed["Contents"]}
    assert len(keys) > 30
    await bucket.told(*keys)
    assert set(bucket.post.keys()) == keys
    assert bucket.post.bad == []


async def test_in_a_versioned_bucket_versions_and_delete_markers_name_their_object(bucket: Bucket) -> None:
    on = {"Status": "Enabled"}
    await bucket.s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=on)
    await bucket.put("a/b.jpg", "keep")
    await bucket.told("a/b.jpg", "keep")
    bucket.forget()
    second = await bucket.s3.put_object(Bucket=bucket.name, Key="a/b.jpg", Body=b"second")
    await bucket.told("a/b.jpg")
    bucket.forget()
    marker = await bucket.s3.delete_object(Bucket=bucket.name, Key="a/b.jpg")
    assert marker["DeleteMarker"]
    await bucket.told("a/b.jpg")
    bucket.forget()
    await bucket.s3.delete_object(Bucket=bucket.name, Key="a/b.jpg", VersionId=second["VersionId"])
    await bucket.told("a/b.jpg")
    await bucket.put(END)
    await bucket.told(END)
    assert set(bucket.post.keys()) == {"a/b.jpg", END}


async def test_every_object_of_a_burst_is_told(bucket: Bucket) -> None:
    keys = [f"burst/{n}.jpg" for n in range(200)]
    await asyncio.gather(*(bucket.put(key) for key in keys))
    await bucket.told(*keys)
    assert set(bucket.post.keys()) == set(keys)


async def test_a_bucket_the_source_does_not_list_and_a_wrong_token_come_to_nothing(
    weed_webhook: WeedWebhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEED_TOKEN", TOKEN)
    async with bucket_of(weed_webhook, listed=False) as other:
        before = counted("weed", "unrouted")
        await other.put("a")
        await until("it is counted", lambda: counted("weed", "unrouted") > before)
        monkeypatch.setenv("WEED_TOKEN", "another token")
        await other.put("b")
        await until("it is refused", lambda: ("events", 401) in other.post.counted)
        assert other.post.deliveries == 0
