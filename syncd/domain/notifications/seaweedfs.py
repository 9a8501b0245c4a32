"""The webhook of SeaweedFS's filer: what happened to its entries, of which objects are some.

Called by the SeaweedFS webhook. Keys are sent as they are, below `/buckets/BUCKET/`. Events are not in order, and
carry none, so each says only: look at the object. Versions of an object are entries of a directory `KEY.versions`,
parts of an upload lie below `.uploads`. Source: SeaweedFS 4.48, as observed.
"""

from typing import Any

from syncd.domain.decoding import decoded_object
from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef
from syncd.domain.notifications import Notices
from syncd.domain.notifications import fields as f

_BUCKETS = "/buckets/"
_VERSIONS = ".versions"
_OF_ONE_VERSION = "Seaweed-X-Amz-Version-Id"
_OF_ALL_VERSIONS = "Seaweed-X-Amz-Latest-Version-Id"
_EVENTS = frozenset({"create", "update", "delete", "rename"})


def parse_seaweedfs(body: bytes, now: float) -> Notices:
    """What an event speaks of. Rejected: it is none of the filer's."""
    message = decoded_object(body, "SeaweedFS")
    if not isinstance(message.get("event_type"), str) or not isinstance(message.get("message"), dict):
        raise Rejected("the body has no event_type and message; let the filer's notification.webhook send here")
    return f.sorted_out([message], lambda event: _event(event, now))


def _event(event: dict[str, Any], now: float) -> f.Saw:
    if event["event_type"] not in _EVENTS:
        raise f.Ignored("other")
    message = event["message"]
    old, new = _entry(message, "old_entry"), _entry(message, "new_entry")
    paths = {_object_path(event.get("key"), new or old)}
    if old and new and (parent := message.get("new_parent_path")):
        paths.add(_object_path(f"{parent}/{new.get('name')}", new))  # of a renamed entry, where it is now
    return [(_ref(path), f.look(now)) for path in sorted(paths)]


def _entry(message: dict[str, Any], name: str) -> dict[str, Any]:
    entry = message.get(name)
    return entry if isinstance(entry, dict) else {}


def _object_path(path: object, entry: dict[str, Any]) -> str:
    """The path of the object that an entry belongs to. Ignored: it belongs to none."""
    if not isinstance(path, str):
        raise f.Bad("malformed", "the key is missing or no text")
    extended = _entry(entry, "extended")
    if entry.get("is_directory") is True:
        if path.endswith(_VERSIONS) and _OF_ALL_VERSIONS in extended:
            return path.removesuffix(_VERSIONS)
        raise f.Ignored("directory")
    folder = path.rpartition("/")[0]
    if folder.endswith(_VERSIONS) and _OF_ONE_VERSION in extended:
        return folder.removesuffix(_VERSIONS)
    return path


def _ref(path: str) -> ObjectRef:
    bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
    if not path.startswith(_BUCKETS) or not key or bucket.startswith("."):  # /buckets/.system is the filer's own
        raise f.Ignored("outside_of_buckets")
    if key.startswith(".uploads/"):
        raise f.Ignored("upload_part")
    return f.object_ref("s3", bucket, key)
