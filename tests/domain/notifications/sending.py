"""What each sender would send of one object: its shape, its encoding of keys, its way to count.

Shapes are those observed or documented (`test_senders` holds them whole); only what a parser could look at is made
here. `order` counts the events of one key: the larger, the later.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from syncd.domain.notifications import Notices
from syncd.domain.notifications.aws import parse_aws
from syncd.domain.notifications.azure import parse_event_grid
from syncd.domain.notifications.cloudevents import STRUCTURED, parse_cloudevents
from syncd.domain.notifications.eventbridge import parse_eventbridge
from syncd.domain.notifications.gcs import parse_gcs, unwrap_pubsub_push
from syncd.domain.notifications.plain import parse_plain
from syncd.domain.notifications.s3 import parse_s3
from syncd.domain.notifications.seaweedfs import parse_seaweedfs

ETAG = "5d41402abc4b2a76b9719d911017c592"
TOPIC = "arn:aws:sns:us-east-1:123456789012:photos"

Event = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What is to be told of an object."""

    bucket: str
    key: str
    order: int
    gone: bool
    etag: str
    size: int


def as_sent(
    sender: str, bucket: str, key: str, *, order: int = 1, gone: bool = False, etag: str = ETAG, size: int = 5
) -> bytes:
    """The body by which a sender tells that an object was written, or deleted."""
    return json.dumps(_SHAPES[sender](Told(bucket, key, order, gone, etag, size))).encode()


def form_encoded(key: str) -> str:
    """As S3 encodes keys in records: as forms do, slashes kept."""
    return quote_plus(key, safe="/-_.*")


def _records(source: str, encoded: Callable[[str], str], sequencer: Callable[[int], str]) -> Callable[[Told], Event]:
    def shaped(told: Told) -> Event:
        thing: Event = {"key": encoded(told.key), "sequencer": sequencer(told.order)}
        thing |= {} if told.gone else {"size": told.size, "eTag": told.etag}
        name = "ObjectRemoved:Delete" if told.gone else "ObjectCreated:Put"
        bucket = {"name": told.bucket, "arn": f"arn:aws:s3:::{told.bucket}"}
        of_s3 = {"s3SchemaVersion": "1.0", "bucket": bucket, "object": thing}
        return {"Records": [{"eventVersion": "2.1", "eventSource": source, "eventName": name, "s3": of_s3}]}

    return shaped


def _s3_sequencer(order: int) -> str:
    return f"0055AED6DC{order:06X}E5"


def _ceph_sequencer(order: int) -> str:
    """Seconds and nanoseconds, each little-endian."""
    return ((1_800_000_000 + order // 7).to_bytes(4, "little") + (order % 7).to_bytes(4, "little")).hex().upper()


def _sns(told: Told) -> Event:
    message = json.dumps(_SHAPES["s3"](told))
    of_sns = {"SignatureVersion": "1", "Signature": "x", "SigningCertURL": "https://sns.us-east-1.amazonaws.com/x.pem"}
    stamped = {"MessageId": "m-1", "TopicArn": TOPIC, "Timestamp": "2026-11-20T10:00:00.000Z"}
    return {"Type": "Notification", "Message": message, "Subject": "Amazon S3 Notification", **stamped, **of_sns}


def _eventbridge(told: Told) -> Event:
    thing: Event = {"key": told.key, "sequencer": f"00617f08{told.order:06x}d189"}
    thing |= {} if told.gone else {"size": told.size, "etag": told.etag}
    detail: Event = {"version": "0", "bucket": {"name": told.bucket}, "object": thing}
    detail |= {"deletion-type": "Permanently Deleted"} if told.gone else {"reason": "PutObject"}
    name = "Object Deleted" if told.gone else "Object Created"
    return {"version": "0", "id": "e-1", "detail-type": name, "source": "aws.s3", "detail": detail}


def _seaweedfs(told: Told) -> Event:
    path = f"/buckets/{told.bucket}/{told.key}"
    folder, _, name = path.rpartition("/")
    entry = {"name": name, "attributes": {"file_size": told.size, "mtime": told.order}}
    old, new = (entry, None) if told.gone else (None, entry)
    message = {"old_entry": old, "new_entry": new, "new_parent_path": None if told.gone else folder}
    return {"key": path, "event_type": "delete" if told.gone else "create", "message": message}


def _resource(told: Told) -> Event:
    """Of the JSON API. A deletion tells the generation that it ended."""
    md5 = base64.b64encode(bytes.fromhex(told.etag)).decode()
    generation = str(1_700_000_000_000_000 + told.order - told.gone)
    return {"bucket": told.bucket, "name": told.key, "generation": generation, "metageneration": "1", "md5Hash": md5,
            "size": str(told.size), "etag": "CKih16GjycICEAE="}  # fmt: skip


def _pubsub(told: Told) -> Event:
    resource = _resource(told)
    attributes = {"eventType": "OBJECT_DELETE" if told.gone else "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1",
                  "bucketId": told.bucket, "objectId": told.key,
                  "objectGeneration": resource["generation"]}  # fmt: skip
    data = base64.b64encode(json.dumps(resource).encode()).decode()
    message = {"attributes": attributes, "data": data, "messageId": "136969346945"}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


def _cloud_event(kind: str, source: str, subject: str, data: Event) -> Event:
    return {"specversion": "1.0", "id": "1", "type": kind, "source": source, "subject": subject, "data": data}


def _eventarc(told: Told) -> Event:
    kind = f"google.cloud.storage.object.v1.{'deleted' if told.gone else 'finalized'}"
    source = f"//storage.googleapis.com/projects/_/buckets/{told.bucket}"
    return _cloud_event(kind, source, f"objects/{told.key}", _resource(told))


def _event_grid(told: Told) -> Event:
    url = f"https://photos.blob.core.windows.net/{told.bucket}/{quote(told.key)}"
    data: Event = {"api": "DeleteBlob" if told.gone else "PutBlob", "url": url, "sequencer": f"{told.order:032x}"}
    data |= {} if told.gone else {"eTag": f'"{told.etag}"', "contentLength": told.size}
    topic = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/photos"
    subject = f"/blobServices/default/containers/{told.bucket}/blobs/{told.key}"
    kind = f"Microsoft.Storage.{'BlobDeleted' if told.gone else 'BlobCreated'}"
    return {"topic": topic, "subject": subject, "eventType": kind, "data": data, "metadataVersion": "1"}


def _event_grid_cloudevents(told: Told) -> Event:
    event = _event_grid(told)
    return _cloud_event(event["eventType"], event["topic"], event["subject"], event["data"])


def _plain_event(told: Told) -> Event:
    known = {} if told.gone else {"etag": told.etag, "size": told.size}
    return {"key": told.key, "sequencer": told.order, **known}


def _plain(told: Told) -> Event:
    kind = "deleted" if told.gone else "created"
    return {"bucket": f"s3://{told.bucket}", "events": [{"type": kind, **_plain_event(told)}]}


def _cloudevents(told: Told) -> Event:
    kind = f"dev.syncd.object.{'deleted' if told.gone else 'created'}"
    return _cloud_event(kind, "/uploader", told.key, {"bucket": f"s3://{told.bucket}", **_plain_event(told)})


_SHAPES: dict[str, Callable[[Told], Event]] = {
    "s3": _records("aws:s3", form_encoded, _s3_sequencer),
    "sns": _sns,
    "eventbridge": _eventbridge,
    "minio": _records("minio:s3", quote_plus, lambda order: f"{0x17C1B1EA9B6CD000 + order:X}"),
    "ceph": _records("ceph:s3", str, _ceph_sequencer),
    "seaweedfs": _seaweedfs,
    "pubsub": _pubsub,
    "eventarc": _eventarc,
    "event_grid": _event_grid,
    "event_grid_cloudevents": _event_grid_cloudevents,
    "plain": _plain,
    "cloudevents": _cloudevents,
}
SENDERS = tuple(_SHAPES)
UNORDERED = frozenset({"seaweedfs"})
"""Senders whose events only say: look at the object."""


def _pubsub_push(body: bytes, now: float) -> Notices:
    attributes, data, _ = unwrap_pubsub_push(body)
    return parse_gcs(attributes, data, now)


def _structured(body: bytes, now: float) -> Notices:
    return parse_cloudevents({"content-type": f"{STRUCTURED}; charset=utf-8"}, body, now)


PARSERS: dict[str, Callable[[bytes, float], Notices]] = {
    "s3": parse_s3,
    "sns": parse_aws,
    "eventbridge": parse_eventbridge,
    "minio": parse_s3,
    "ceph": parse_s3,
    "seaweedfs": parse_seaweedfs,
    "pubsub": _pubsub_push,
    "eventarc": _structured,
    "event_grid": parse_event_grid,
    "event_grid_cloudevents": parse_event_grid,
    "plain": parse_plain,
    "cloudevents": _structured,
}


def bucket_url(sender: str, bucket: str) -> str:
    """The bucket's URL in the observations of a sender."""
    scheme = {"pubsub": "gs", "eventarc": "gs", "event_grid": "az", "event_grid_cloudevents": "az"}.get(sender, "s3")
    return f"{scheme}://{bucket}"
