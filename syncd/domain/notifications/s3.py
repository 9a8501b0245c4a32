"""`Records` as S3 sends them, and MinIO and Ceph RGW after it: to queues, topics and webhooks.

Called by `aws` and by the webhooks of MinIO and Ceph. How a key is encoded, and what a sequencer means, is told by
`eventSource`, never guessed: S3 and MinIO encode keys as forms do, Ceph sends them as they are. Some servers that
speak S3's shape leave the sequencer out (on restores S3 does too); then the bucket is asked.
Source: docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html, docs.ceph.com (bucket
notifications), MinIO's source.
"""

from typing import Any

from syncd.domain import sequencers
from syncd.domain.decoding import decoded_object
from syncd.domain.errors import Rejected
from syncd.domain.model import Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications import fields as f

SENDERS = {"aws:s3": "s3", "minio:s3": "minio", "ceph:s3": "ceph"}
"""Whose records are understood, by `eventSource`."""

_CREATED, _DELETED, _GONE, _LOOK = "created", "deleted", "gone", "look"
_MEANING = {
    "ObjectCreated:Put": _CREATED,
    "ObjectCreated:Post": _CREATED,
    "ObjectCreated:Copy": _CREATED,
    "ObjectCreated:CompleteMultipartUpload": _CREATED,
    "ObjectRemoved:Delete": _DELETED,
    "ObjectRemoved:DeleteMarkerCreated": _GONE,
    "ObjectRemoved:DeleteAllVersions": _GONE,
    "LifecycleExpiration:Delete": _DELETED,
    "LifecycleExpiration:DeleteMarkerCreated": _GONE,
    "ObjectLifecycle:Expiration:Current": _LOOK,
    "ObjectRestore:Completed": _LOOK,
    "ObjectSynced:Create": _LOOK,
    "ObjectSynced:Delete": _LOOK,
    "ObjectSynced:DeletionMarkerCreated": _LOOK,
    # MinIO's, under a name that speaks of content: none of it changes
    "ObjectCreated:PutRetention": "",
    "ObjectCreated:PutLegalHold": "",
    "ObjectCreated:PutTagging": "",
    "ObjectCreated:DeleteTagging": "",
}
_NO_CONTENT = frozenset({
    "IntelligentTiering", "LifecycleDelMarkerExpiration", "LifecycleTransition", "ObjectAccessed", "ObjectAcl",
    "ObjectCreated", "ObjectLifecycle", "ObjectRestore", "ObjectTagging", "ObjectTransition",
    "ReducedRedundancyLostObject", "Replication", "Scanner", "TestEvent",
})  # fmt: skip
"""Groups of events that are counted by their name; all others together, as `other`."""


def parse_s3(body: bytes, now: float) -> Notices:
    """What a body of `Records` speaks of, or a test event (ignored). Rejected: it is neither."""
    return parse_records(decoded_object(body, "an S3 server"), now)


def parse_records(message: dict[str, Any], now: float) -> Notices:
    """The same, of a message decoded already."""
    if message.get("Event") == "s3:TestEvent":
        return Notices(ignored={"TestEvent": 1})
    records = message.get("Records")
    if not isinstance(records, list) and ("Records" not in message or records is not None):
        raise Rejected("the message holds no list of Records; send bucket notifications here, as S3 shapes them")
    return f.sorted_out(records or [], lambda record: _record(record, now))


def _record(record: Any, now: float) -> f.Saw:
    sender = _sender(f.members(record).get("eventSource"))
    f.known_version(record.get("eventVersion"), "2")
    meaning = _meaning(record.get("eventName"))
    thing = f.members(record, "s3", "object")
    key = thing.get("key") if sender == "ceph" else f.unquoted(thing.get("key"), plus=True)
    ref = f.object_ref("s3", f.members(record, "s3", "bucket").get("name"), key)
    return [(ref, _observation(sender, meaning, thing, now))]


def _sender(source: object) -> str:
    if isinstance(source, str) and source in SENDERS:
        return SENDERS[source]
    if isinstance(source, str) and source.endswith(":s3"):
        raise f.Bad("malformed", f"its keys' encoding is not known: eventSource is none of {', '.join(SENDERS)}")
    raise f.Ignored("other_source")


def _meaning(event_name: object) -> str:
    """What is to be made of it. A name below a known group that is new to us is looked into, not passed over."""
    name = event_name.removeprefix("s3:") if isinstance(event_name, str) else ""
    group = name.partition(":")[0]
    if meaning := _MEANING.get(name, _LOOK if group in {"ObjectCreated", "ObjectRemoved"} else ""):
        return meaning
    raise f.Ignored(group if group in _NO_CONTENT else "other")


def _observation(sender: str, meaning: str, thing: dict[str, Any], now: float) -> Observation:
    size = f.size_of(thing.get("size"))
    of_one_version = meaning == _DELETED and f.token_of(thing.get("versionId"))  # the object may live on
    if meaning == _LOOK or of_one_version:
        return f.look(now)
    if meaning != _CREATED:
        return f.gone(now, _sequencer(sender, thing, gone=True))
    version = f.version_of(thing.get("versionId"))
    if sender == "minio" and version and len(version) != 36:
        version = None  # only UUIDs tell versions apart: old servers say "1" of all objects without versions
    sequencer = _sequencer(sender, thing, gone=False)
    return f.created(now, sequencer, etag=f.etag_of(thing.get("eTag")), version_id=version, size=size)


def _sequencer(sender: str, thing: dict[str, Any], *, gone: bool) -> str | None:
    if sender == "ceph":
        return sequencers.ceph(thing.get("sequencer"))
    sequencer = sequencers.hexadecimal(sender, thing.get("sequencer"))
    # MinIO's is the version's time of birth, on its deletion too
    return f"{sequencer}1" if sequencer and sender == "minio" and gone else sequencer
