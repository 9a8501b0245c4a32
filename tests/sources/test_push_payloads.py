"""What each sender really posts, through the receiver: as documented by Ceph, Amazon and
MinIO (whose server is not obtainable here), made by the SDK of CloudEvents; and hostile keys through all of them.
"""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from syncd.runtime.clock import SystemClock
from syncd.secrets import SecretRef
from syncd.sources.ceph import CephSource
from syncd.sources.cloudevents import CloudEventsSource
from syncd.sources.eventbridge import EventBridgeSource
from syncd.sources.http import HttpSource
from syncd.sources.minio import MinioSource
from syncd.sources.pushed import TokenOptions
from syncd.sources.seaweedfs import SeaweedFSSource
from tests.domain.notifications.hostile import HOSTILE_KEYS, UNTENABLE_KEYS
from tests.known_secrets import HUSH
from tests.sources.pushing import Post, counted, listening, made, stores

JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {HUSH}", **JSON}


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", HUSH)


def source(kind: type[Any], **options: Any) -> Any:
    return made(kind, tokens=[{"env": "TOKEN"}], **options)


# ------------------------------------------------------------ what they send


def ceph(key: str, event: str = "ObjectCreated:Put", shown: str | None = HUSH, **changed: Any) -> dict[str, Any]:
    """Recorded from Ceph RGW 16.2.15."""
    thing = {
        "key": key,
        "size": 10,
        "eTag": "336311a016184326ddbdd61edd4eeb52",
        "versionId": "",
        "sequencer": "6FCE016B2C456407",
        "metadata": [
            {"key": "x-amz-date", "val": "20261121T170133Z"},
            {"key": "x-amz-security-token", "val": "theirs"},
        ],
        "tags": [],
    }
    bucket = {"name": "photos", "ownerIdentity": {"principalId": "test"}, "arn": "arn:aws:s3:::photos", "id": "9"}
    record = {
        "eventVersion": "2.2",
        "eventSource": "ceph:s3",
        "awsRegion": "",
        "eventTime": "2026-11-21T17:01:35.117266Z",
        "eventName": event,
        "userIdentity": {"principalId": "test"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "n", "bucket": bucket, "object": thing},
        "eventId": "1795280495.124011.336311a016184326ddbdd61edd4eeb52",
    }
    return {"Records": [record | ({} if shown is None else {"opaqueData": shown}) | changed]}


def minio(key: str, event: str = "s3:ObjectCreated:Put") -> dict[str, Any]:
    """As documented at min.io (bucket notifications, webhook)."""
    thing = {
        "key": quote_plus(key),
        "size": 1024,
        "eTag": "b9f0e5c9",
        "contentType": "image/jpeg",
        "userMetadata": {"content-type": "image/jpeg"},
        "sequencer": "17A1B2C3D4E5F607",
    }
    bucket = {"name": "photos", "ownerIdentity": {"principalId": "minio"}, "arn": "arn:aws:s3:::photos"}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": "2026-11-20T10:00:00.000Z",
        "eventName": event,
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "Config", "bucket": bucket, "object": thing},
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "MinIO"},
    }
    return {"EventName": event, "Key": f"photos/{key}", "Records": [record]}


def bridge(key: str) -> dict[str, Any]:
    thing = {"key": key, "size": 5, "etag": "b1946ac9", "sequencer": "00617F08299329D189"}
    detail = {"version": "0", "bucket": {"name": "photos"}, "object": thing, "reason": "PutObject"}
    head = {"version": "0", "id": "17793124", "account": "111122223333", "region": "eu-west-1", "resources": []}
    return {**head, "detail-type": "Object Created", "source": "aws.s3", "detail": detail}


def weed(key: str) -> dict[str, Any]:
    entry = {"name": key.rpartition("/")[2], "attributes": {"file_size": 3}}
    return {"event_type": "create", "key": f"/buckets/photos/{key}", "message": {"new_entry": entry}}


def plain(key: str) -> dict[str, Any]:
    return {"bucket": "s3://photos", "events": [{"type": "created", "key": key}]}


def cloud_event(key: str) -> CloudEvent:
    attributes = {"type": "dev.syncd.object.created", "source": "/uploader", "id": "1", "specversion": "1.0"}
    return CloudEvent(attributes, {"bucket": "s3://photos", "key": key})


def structured(key: str) -> bytes:
    return to_structured(cloud_event(key), JSONFormat()).body


SENDERS: dict[str, tuple[type[Any], dict[str, str], Callable[[str], bytes]]] = {
    "minio": (MinioSource, BEARER, lambda key: json.dumps(minio(key)).encode()),
    "ceph": (CephSource, JSON, lambda key: json.dumps(ceph(key), ensure_ascii=False).encode()),
    "eventbridge": (
        EventBridgeSource,
        {**JSON, "X-Syncd-Secret": HUSH},
        lambda key: json.dumps(bridge(key)).encode(),
    ),
    "seaweedfs": (SeaweedFSSource, BEARER, lambda key: json.dumps(weed(key)).encode()),
    "http": (HttpSource, BEARER, lambda key: json.dumps(plain(key)).encode()),
    "cloudevents": (CloudEventsSource, {**BEARER, "Content-Type": "application/cloudevents+json"}, structured),
}


@pytest.mark.parametrize("name", list(SENDERS))
async def test_forty_hostile_keys_arrive_byte_for_byte(name: str) -> None:
    kind, headers, body = SENDERS[name]
    async with listening(source(kind)) as post:
        for key in HOSTILE_KEYS:
            answer = await post.ask("POST", "/events/photos", body(key), headers)
            assert (key, answer.status) == (key, 204)
    assert post.keys() == list(HOSTILE_KEYS)
    assert {ref.bucket for ref, _ in post.seen} == {"s3://photos"}
    assert post.bad == []


@pytest.mark.parametrize("name", list(SENDERS))
@pytest.mark.parametrize("key", [key for key in UNTENABLE_KEYS if key], ids=["nul", "long", "long in bytes"])
async def test_what_cannot_be_a_key_is_kept_for_a_person(name: str, key: str) -> None:
    kind, headers, body = SENDERS[name]
    async with listening(source(kind)) as post:
        assert (await post.ask("POST", "/events/photos", body(key), headers)).status == 204
    assert post.keys() == []
    assert [bad.reason for bad in post.bad] == ["invalid_key"]


@pytest.mark.parametrize("name", list(SENDERS))
async def test_a_sender_is_not_believed_about_another_bucket(name: str) -> None:
    kind, headers, body = SENDERS[name]
    before = counted("photos", "unrouted")
    elsewhere = made(kind, tokens=[{"env": "TOKEN"}], buckets=["other"])
    async with listening(elsewhere) as post:
        assert (await post.ask("POST", "/events/photos", body("a"), headers)).status == 204
    assert post.deliveries == 0
    assert counted("photos", "unrouted") == before + 1


# ------------------------------------------------------------ one by one


async def test_minio_probes_then_sends_and_its_sequencer_orders() -> None:
    async with listening(source(MinioSource)) as post:
        assert (await post.ask("HEAD", "/events/photos", headers=BEARER)).status == 200
        for event in ("s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete"):
            body = json.dumps(minio("a b", event)).encode()
            assert (await post.ask("POST", "/events/photos", body, BEARER)).status == 204
    created, deleted = (sight for _, sight in post.seen)
    assert (created.etag, created.size, deleted.gone) == ("b9f0e5c9", 1024, True)
    assert (created.sequencer or "") < (deleted.sequencer or "")


async def send_ceph(post: Post, message: dict[str, Any], **headers: str) -> int:
    body = json.dumps(message).encode()
    return (await post.ask("POST", "/events/photos", body, {**JSON, **headers})).status


async def test_every_record_of_ceph_shows_the_token() -> None:
    async with listening(source(CephSource)) as post:
        two = {"Records": [*ceph("a")["Records"], *ceph("b")["Records"]]}
        assert await send_ceph(post, two) == 204
        assert post.keys() == ["a", "b"]
        for wrong in (None, "", "other"):
            assert await send_ceph(post, ceph("c", shown=wrong)) == 401
            mixed = {"Records": [*ceph("a")["Records"], *ceph("c", shown=wrong)["Records"]]}
            assert await send_ceph(post, mixed) == 401
        broken: list[dict[str, Any]] = [
            {"Records": []},
            {"Records": None},
            {"Records": [HUSH]},
            {"opaqueData": HUSH},
        ]
        for message in broken:
            assert await send_ceph(post, message) == 401
        assert post.keys() == ["a", "b"]


async def test_a_password_that_is_wrong_is_not_made_up_for_by_the_records() -> None:
    right = base64.b64encode(f"user:{HUSH}".encode()).decode()
    async with listening(source(CephSource)) as post:
        for wrong in ("Basic", "Basic !", "Basic dXNlcjpwYXNz", f"Bearer {HUSH}", "Digest x", "Basic /w=="):
            assert await send_ceph(post, ceph("a"), Authorization=wrong) == 401
        assert await send_ceph(post, ceph("a", shown=None), Authorization=f"Basic {right}") == 204


async def test_what_is_kept_of_a_bad_record_of_ceph_holds_no_secret() -> None:
    async with listening(source(CephSource)) as post:
        assert await send_ceph(post, ceph("nul\0", requestParameters={})) == 204
    (bad,) = post.bad
    assert b"eventName" in bad.excerpt
    assert HUSH.encode() not in bad.excerpt
    assert b"theirs" not in bad.excerpt


async def test_cloudevents_in_binary_structured_and_batched_mode_are_the_same() -> None:
    binary = to_binary(cloud_event("a b"), JSONFormat())
    whole = to_structured(cloud_event("a b"), JSONFormat())
    batch = b"[" + bytes(whole.body) + b"," + bytes(whole.body) + b"]"
    modes = [
        (dict(binary.headers), bytes(binary.body)),
        (dict(whole.headers), bytes(whole.body)),
        ({"content-type": "application/cloudevents-batch+json; charset=utf-8"}, batch),
    ]
    async with listening(source(CloudEventsSource)) as post:
        for headers, body in modes:
            shown = {"content-type": "application/json", **headers, "Authorization": f"Bearer {HUSH}"}
            assert (await post.ask("POST", "/events/photos", body, shown)).status == 204
    assert post.keys() == ["a b"] * 4


async def test_a_sender_of_cloudevents_that_asks_first_is_told_that_it_may() -> None:
    async with listening(source(CloudEventsSource)) as post:
        asks = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
        answer = await post.ask("OPTIONS", "/events/photos", headers=asks)
        assert (answer.status, answer.headers["WebHook-Allowed-Origin"]) == (200, "*")
        silent = await post.ask("OPTIONS", "/events/photos")
        assert "WebHook-Allowed-Origin" not in silent.headers


async def test_eventarc_speaks_of_buckets_of_google() -> None:
    thing = {"bucket": "pictures", "name": "a b+%2B", "generation": "1700000000000000", "size": "7", "etag": "CPj="}
    headers = {
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": "//storage.googleapis.com/projects/_/buckets/pictures",
        "ce-id": "1",
    }
    arc = CloudEventsSource(
        "arc",
        TokenOptions(buckets=("pictures",), tokens=(SecretRef(env="TOKEN"),)),
        stores=stores(pictures="gs://pictures"),
        clock=SystemClock(),
    )
    async with listening(arc) as post:
        answer = await post.ask("POST", "/events/arc", json.dumps(thing).encode(), {**BEARER, **headers})
        assert answer.status == 204
    assert post.keys() == ["a b+%2B"]
