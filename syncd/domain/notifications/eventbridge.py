"""S3's events as EventBridge carries them: to queues, topics and API destinations.

Called by `aws` and by the EventBridge webhook. Keys are sent as they are. One event is one body.
Source: docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
"""

from typing import Any

from syncd.domain import sequencers
from syncd.domain.decoding import decoded_object
from syncd.domain.errors import Rejected
from syncd.domain.model import Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications import fields as f

_NO_CONTENT = frozenset({
    "Object Restore Initiated", "Object Restore Expired", "Object Storage Class Changed",
    "Object Access Tier Changed", "Object ACL Updated", "Object Tags Added", "Object Tags Deleted",
})  # fmt: skip


def parse_eventbridge(body: bytes, now: float) -> Notices:
    """What an event speaks of. Rejected: it is no event of EventBridge."""
    return parse_event(decoded_object(body, "EventBridge"), now)


def is_event(message: dict[str, Any]) -> bool:
    """Whether it is an event of EventBridge, of whatever service."""
    return isinstance(message.get("detail-type"), str) and isinstance(message.get("source"), str)


def parse_event(message: dict[str, Any], now: float) -> Notices:
    """The same, of a message decoded already."""
    if not is_event(message):
        raise Rejected("the message has no source and detail-type; send S3's events here, without an input transformer")
    return f.sorted_out([message], lambda event: _event(event, now))


def _event(event: dict[str, Any], now: float) -> f.Saw:
    if event["source"] != "aws.s3":
        raise f.Ignored("other_source")
    name = event["detail-type"]
    if name not in {"Object Created", "Object Deleted", "Object Restore Completed"}:
        raise f.Ignored(name if name in _NO_CONTENT else "other")
    f.known_version(event.get("version"), "0")
    detail = f.members(event, "detail")
    f.known_version(detail.get("version"), "0")
    thing = f.members(detail, "object")
    ref = f.object_ref("s3", f.members(detail, "bucket").get("name"), thing.get("key"))
    return [(ref, _observation(name, detail, thing, now))]


def _observation(name: str, detail: dict[str, Any], thing: dict[str, Any], now: float) -> Observation:
    sequencer = sequencers.hexadecimal("eventbridge", thing.get("sequencer"))
    size = f.size_of(thing.get("size"))
    if name == "Object Created":
        etag = f.etag_of(thing.get("etag", thing.get("eTag")))
        return f.created(now, sequencer, etag=etag, version_id=f.version_of(thing.get("version-id")), size=size)
    of_one_version = detail.get("deletion-type") != "Delete Marker Created" and f.token_of(thing.get("version-id"))
    if name == "Object Restore Completed" or of_one_version:  # of a deleted version the object may live on
        return f.look(now)
    return f.gone(now, sequencer)
