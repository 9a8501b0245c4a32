"""What S3 tells a queue, by each of its ways, arrives as it was: on two emulators of S3, SQS, SNS and EventBridge."""

import json

import pytest

from syncd.domain.model import ObjectRef
from tests.sources.sqs_world import EVENTS, Cloud, Taker, record, running, source
from tests.sources.sqs_world import eventually as eventually_
from tests.sources.waiting import until

HOSTILE = "in/a b+c%20é ü//日本語 (1).jpg"


async def empty(cloud: Cloud, queue: str) -> None:
    await eventually_("the queue is empty", lambda: cloud.is_empty(queue))


async def test_put_overwrite_copy_multipart_and_delete_arrive(cloud: Cloud) -> None:
    queue = await cloud.queue()
    bucket = await cloud.notifying(queue)
    taker = Taker()
    async with running(source(queue, bucket, endpoint=cloud.server.endpoint), taker):
        first = await cloud.s3.put_object(Bucket=bucket, Key=HOSTILE, Body=b"x")
        second = await cloud.s3.put_object(Bucket=bucket, Key=HOSTILE, Body=b"xy")
        await cloud.s3.copy_object(Bucket=bucket, Key="copy.jpg", CopySource={"Bucket": bucket, "Key": HOSTILE})
        started = await cloud.s3.create_multipart_upload(Bucket=bucket, Key="parts.jpg")
        upload = {"Bucket": bucket, "Key": "parts.jpg", "UploadId": started["UploadId"]}
        part = await cloud.s3.upload_part(**upload, PartNumber=1, Body=b"whole")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        whole = await cloud.s3.complete_multipart_upload(**upload, MultipartUpload=parts)
        await cloud.s3.delete_object(Bucket=bucket, Key="copy.jpg")
        await until("the end arrived", lambda: len(taker.of("copy.jpg")) == 2)
        await empty(cloud, queue)
    assert taker.refs() == {ObjectRef(f"s3://{bucket}", key) for key in (HOSTILE, "copy.jpg", "parts.jpg")}
    assert not taker.bad
    if cloud.server.name == "moto":  # without a sequencer an event says no more than "look at the object"
        assert {(sight.etag, sight.gone) for _, sight in taker.seen} == {(None, False)}
        return
    assert {sight.etag for sight in taker.of(HOSTILE)} == {first["ETag"].strip('"'), second["ETag"].strip('"')}
    assert {sight.etag for sight in taker.of("parts.jpg")} == {whole["ETag"].strip('"')}
    assert sorted(sight.gone for _, sight in taker.seen) == [False] * (len(taker.seen) - 1) + [True]


@pytest.mark.parametrize("raw", ["true", "false"])
async def test_what_comes_through_sns_arrives_raw_or_wrapped(cloud: Cloud, raw: str) -> None:
    queue = await cloud.queue()
    topic = (await cloud.sns.create_topic(Name="photos"))["TopicArn"]
    delivery = {"RawMessageDelivery": raw}
    await cloud.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=await cloud.arn(queue), Attributes=delivery)
    bucket = await cloud.bucket({"TopicConfigurations": [{"TopicArn": topic, "Events": EVENTS}]})
    taker = Taker()
    async with running(source(queue, bucket, endpoint=cloud.server.endpoint), taker):
        await cloud.s3.put_object(Bucket=bucket, Key=HOSTILE, Body=b"x")
        await until("it arrived", lambda: taker.of(HOSTILE))
        await cloud.s3.delete_object(Bucket=bucket, Key=HOSTILE)
        await until("its end arrived", lambda: len(taker.of(HOSTILE)) == 2)
        await empty(cloud, queue)
    assert taker.refs() == {ObjectRef(f"s3://{bucket}", HOSTILE)}
    assert not taker.bad


async def test_what_comes_through_eventbridge_arrives(cloud: Cloud) -> None:
    queue = await cloud.queue()
    bucket = await cloud.bucket({"EventBridgeConfiguration": {}})
    pattern = json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}})
    rule = f"rule-{bucket[-8:]}"
    await cloud.events.put_rule(Name=rule, EventPattern=pattern)
    await cloud.events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": await cloud.arn(queue)}])
    taker = Taker()
    async with running(source(queue, bucket, endpoint=cloud.server.endpoint), taker):
        await cloud.s3.put_object(Bucket=bucket, Key=HOSTILE, Body=b"x")
        await until("it arrived", lambda: taker.of(HOSTILE))
        await cloud.s3.delete_object(Bucket=bucket, Key=HOSTILE)
        await until("its end arrived", lambda: len(taker.of(HOSTILE)) == 2)
        await empty(cloud, queue)
    assert taker.refs() == {ObjectRef(f"s3://{bucket}", HOSTILE)}


async def test_the_test_event_of_a_new_notification_is_taken_away_and_nothing_is_delivered(cloud: Cloud) -> None:
    queue = await cloud.queue()
    bucket = await cloud.notifying(queue)
    await eventually_("the test event waits", lambda: _one_waits(cloud, queue))
    taker = Taker()
    async with running(source(queue, bucket, endpoint=cloud.server.endpoint), taker):
        await empty(cloud, queue)
    assert taker.calls == 0


async def test_what_can_never_be_read_is_kept_for_a_person_and_holds_nobody_up(cloud: Cloud) -> None:
    queue = await cloud.queue()
    good = [record("photos", f"{n}.jpg") for n in range(25)]
    poison = ["not JSON", "[]", '{"Records": 5}', "\ufffd" * 10_000]
    await cloud.send(queue, *poison, *good, *poison)
    taker = Taker()
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint), taker):
        await until("the good ones arrived", lambda: len(taker.keys()) == 25)
        await empty(cloud, queue)
    assert len(taker.bad) == 2 * len(poison)
    assert {event.reason for event in taker.bad} == {"malformed"}
    assert b"not JSON" in {event.excerpt for event in taker.bad}
    assert max(len(event.excerpt) for event in taker.bad) <= 4096


async def test_events_of_buckets_that_the_source_does_not_list_go_no_further(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, record("payroll", "secret.jpg"), record("photos", "a.jpg"))
    taker = Taker()
    async with running(source(queue, "photos", endpoint=cloud.server.endpoint), taker):
        await until("it arrived", lambda: taker.seen)
        await empty(cloud, queue)
    assert taker.refs() == {ObjectRef("s3://photos", "a.jpg")}


@pytest.mark.parametrize("form", ["url", "arn", "name"])
async def test_a_queue_is_named_by_url_arn_or_name(cloud: Cloud, form: str) -> None:
    queue = await cloud.queue()
    named = {"url": queue, "arn": await cloud.arn(queue), "name": queue.rsplit("/", 1)[-1]}[form]
    await cloud.send(queue, record("photos", "a.jpg"))
    taker = Taker()
    read = source(named, "photos", endpoint=cloud.server.endpoint)
    await read.check()
    async with running(read, taker):
        await until("it arrived", lambda: taker.seen)
    assert taker.rescans == 1


async def _one_waits(cloud: Cloud, queue: str) -> bool:
    return (await cloud.waiting(queue))[0] == 1
