"""Cloud Storage's notifications: the attributes and the data of Pub/Sub messages, pulled or pushed.

Called by the Pub/Sub sources, and by `cloudevents` for what Eventarc makes of the same changes. Names are sent as they
are. The generation is the version id, and orders events too. The etag in a notification is the JSON API's, which no
reader over the XML API ever sees; the etag they see is the MD5, of objects that are neither composed nor encrypted
with a key of one's own, and so it is the MD5 that is taken. Source: cloud.google.com/storage/docs/pubsub-notifications,
cloud.google.com/pubsub/docs/push, cloud.google.com/storage/docs/hashes-etags.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from syncd.domain import sequencers
from syncd.domain.decoding import decoded, decoded_object
from syncd.domain.errors import Rejected
from syncd.domain.notifications import Notices
from syncd.domain.notifications import fields as f

_FINALIZED = "OBJECT_FINALIZE"
_ENDED = frozenset({"OBJECT_DELETE", "OBJECT_ARCHIVE"})
_NO_CONTENT = frozenset({"OBJECT_METADATA_UPDATE"})


def parse_gcs(attributes: Mapping[str, str], data: bytes, now: float) -> Notices:
    """What a message speaks of. Rejected: it is no notification of a bucket."""
    if "eventType" not in attributes or "bucketId" not in attributes:
        raise Rejected("the message has no eventType and bucketId; subscribe to a topic of bucket notifications only")
    return f.sorted_out([dict(attributes)], lambda message: _message(message, data, now))


def unwrap_pubsub_push(body: bytes) -> tuple[Mapping[str, str], bytes, str]:
    """Attributes, data and message id of a message that was pushed. Rejected: it is no such body."""
    message = decoded_object(body, "Pub/Sub").get("message")
    if not isinstance(message, dict):
        raise Rejected("the body has no message; let a push subscription without payload unwrapping send here")
    attributes, data = message.get("attributes") or {}, message.get("data") or ""
    id_ = message.get("messageId") or message.get("message_id") or ""
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in (*attributes.values(), data)):
        raise Rejected("the message's attributes or data are no text; is it Pub/Sub that sends here?")
    try:
        return attributes, base64.b64decode(data, validate=True), str(id_)
    except (binascii.Error, ValueError):
        raise Rejected("the message's data is not base64; is it Pub/Sub that sends here?") from None


def _message(message: Mapping[str, str], data: bytes, now: float) -> f.Saw:
    kind = message["eventType"]
    if kind != _FINALIZED and kind not in _ENDED:
        raise f.Ignored(kind if kind in _NO_CONTENT else "other")
    if kind in _ENDED and message.get("overwrittenByGeneration"):
        raise f.Ignored("overwritten")  # what took its place has an event of its own
    resource = _resource(data) if message.get("payloadFormat") == "JSON_API_V1" else {}
    generation = message.get("objectGeneration")
    if str(resource.get("generation", generation)) != generation:  # sent as text or as a number
        resource = {}  # of another version than the message speaks of
    told = {"bucket": message.get("bucketId"), "name": message.get("objectId"), "generation": generation}
    return change({**resource, **told}, now, gone=kind in _ENDED)


def _resource(data: bytes) -> dict[str, Any]:
    """The object's resource; empty where it cannot be read: the attributes say enough to go and look."""
    try:
        resource = decoded(data, "Cloud Storage")
    except Rejected:
        return {}
    return resource if isinstance(resource, dict) else {}


def change(resource: dict[str, Any], now: float, *, gone: bool) -> f.Saw:
    """What an object's resource (of the JSON API) says once it was written, or was deleted or archived."""
    ref = f.object_ref("gs", resource.get("bucket"), resource.get("name"))
    size = f.size_of(resource.get("size"))
    sequencer = sequencers.generation(resource.get("generation"), gone=gone)
    if gone:
        return [(ref, f.gone(now, sequencer))]
    version = str(resource.get("generation")) if sequencer else None
    return [(ref, f.created(now, sequencer, etag=_etag(resource), version_id=version, size=size))]


def _etag(resource: dict[str, Any]) -> str | None:
    """The etag that the XML API tells: the MD5 in hexadecimal. None: it tells another, or none can be made."""
    md5 = resource.get("md5Hash")
    if not isinstance(md5, str) or resource.get("kmsKeyName") or resource.get("customerEncryption"):
        return None
    try:
        raw = base64.b64decode(md5, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 16 else None
