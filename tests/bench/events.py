"""Events as their senders send them, each of another object or task: S3's, our own signed ones, Label Studio's.

Called by the benches that fill the receiver. Each kind is the whole request of a POST, about 1.1 kB of body.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping

from syncd.domain.standard_webhooks import sign, signing_key
from syncd.ports import WEBHOOK_SECRET_HEADER
from tests.bench.load import request

BODY = 1_100
"""Bytes, about: what S3 sends of one object."""

Maker = Callable[[int], bytes]


def key_of(number: int) -> str:
    """The key of an object."""
    return f"photos/2026/11/21/camera-07/image-{number:09d}.jpg"


def s3_record(number: int, bucket: str) -> dict[str, object]:
    """One record as MinIO sends it, which is S3's with its own sender and key encoding."""
    return {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": "2026-11-20T12:00:00.000Z",
        "eventName": "s3:ObjectCreated:Put",
        "userIdentity": {"principalId": "camera-07"},
        "requestParameters": {"principalId": "camera-07", "region": "", "sourceIPAddress": "127.0.0.1"},
        "responseElements": {
            "x-amz-id-2": "dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8",
            "x-amz-request-id": f"{number:016X}",
            "x-minio-deployment-id": "6f1e5f5e-7f6f-4b5e-8d6c-6a2d8b0f1c11",
            "x-minio-origin-endpoint": "http://127.0.0.1:9000",
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "bench"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": key_of(number).replace("/", "%2F"),
                "size": 20_000 + number % 1_000,
                "eTag": f"{number:032x}",
                "contentType": "image/jpeg",
                "userMetadata": {"content-type": "image/jpeg", "x-amz-meta-station": "north-gate"},
                "sequencer": f"{0x1815_0000_0000_0000 + number:016X}",
            },
        },
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7.0.80 mc/RELEASE"},
    }


def minio(token: str, bucket: str = "photos", path: str = "/events/minio") -> Maker:
    """Notifications of MinIO's webhook."""

    def made(number: int) -> bytes:
        record = s3_record(number, bucket)
        body = {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key_of(number)}", "Records": [record]}
        return request(path, {"Authorization": f"Bearer {token}"}, _bytes(body))

    return made


def plain(secret: str, bucket: str = "uploads") -> Maker:
    """Our own schema, signed now as Standard Webhooks; made as long as the others by a member that is ignored."""
    keys, now = [signing_key(secret)], int(time.time())

    def made(number: int) -> bytes:
        event = {"type": "created", "key": key_of(number), "etag": f"{number:032x}", "sequencer": number + 1}
        body = _bytes({"bucket": bucket, "events": [event | {"note": "x" * 900}]})
        return request("/events/http", sign(f"msg_{number}", now, body, keys), body)

    return made


def webhook(secret: str, dataset: str = "fruits") -> Maker:
    """What Label Studio sends when a person submits, its long parts shortened to the size of the others."""

    def made(number: int) -> bytes:
        answer = {"id": "r1", "type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": ["a"]}}
        body = {
            "action": "ANNOTATION_CREATED",
            "annotation": {"id": number, "task": number, "project": 1, "completed_by": 1, "result": [answer]},
            "task": {"id": number, "data": {"image": f"s3://photos/{key_of(number)}"}, "is_labeled": True},
            "project": {"id": 1, "title": "Fruits", "label_config": "<View/>" + "x" * 700},
        }
        return request(f"/webhooks/label-studio/{dataset}", {WEBHOOK_SECRET_HEADER: secret}, _bytes(body))

    return made


def made(maker: Maker, numbers: Iterable[int]) -> list[bytes]:
    """The requests of these numbers."""
    return [maker(number) for number in numbers]


def _bytes(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
