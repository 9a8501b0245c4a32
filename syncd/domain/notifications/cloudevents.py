"""CloudEvents over HTTP, in binary, structured or batched mode: of Eventarc, of Event Grid, and syncd's own types.

Called by the CloudEvents source. Whose rule decodes a key is told by the event's type; types of others are ignored and
counted. Source: CloudEvents 1.0.2, its JSON format and its HTTP protocol binding.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from syncd.domain.decoding import decoded, decoded_object
from syncd.domain.errors import Rejected
from syncd.domain.notifications import Notices, azure, gcs, plain
from syncd.domain.notifications import fields as f

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

_SENDER = "a sender of CloudEvents"
_EVENTARC = "google.cloud.storage.object.v1."
_EVENTARC_GONE = {"finalized": False, "deleted": True, "archived": True}
_ATTRIBUTES = ("specversion", "type", "source", "subject", "id", "datacontenttype")


def parse_cloudevents(
    headers: Mapping[str, str], body: bytes, now: float, buckets: Mapping[str, str] | None = None
) -> Notices:
    """What a request speaks of. `headers` by lower-case names; `buckets` as for `plain.parse_plain`.

    Rejected: it is no CloudEvent in any of the three modes.
    """
    events = _events(headers, body)
    return f.sorted_out(events, lambda event: _event(event, now, buckets or {}))


def _events(headers: Mapping[str, str], body: bytes) -> list[Any]:
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == BATCHED:
        batch = decoded(body, _SENDER)
        if not isinstance(batch, list):
            raise Rejected("the body is no JSON array, which a batch of CloudEvents is")
        return batch
    if content_type == STRUCTURED:
        return [decoded_object(body, _SENDER)]
    if "ce-specversion" not in headers:
        raise Rejected(f"neither ce- headers nor {STRUCTURED}; is it {_SENDER} that sends here?")
    return [_binary(headers, body)]


def _binary(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The event whose attributes are headers, percent-encoded where they are not plain ASCII, and whose data is all."""
    event = {name: unquote(headers[f"ce-{name}"]) for name in _ATTRIBUTES if f"ce-{name}" in headers}
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = content_type in {"", "application/json"} or content_type.endswith("+json")
    return {**event, "data": decoded(body, _SENDER) if is_json and body else None}


def _event(event: Any, now: float, buckets: Mapping[str, str]) -> f.Saw:
    kind = f.members(event).get("type")
    f.known_version(event.get("specversion"), "1")
    if not isinstance(kind, str):
        raise f.Bad("malformed", "the event has no type; see the CloudEvents specification")
    if kind.startswith(azure.PREFIX):
        return azure.read_event({**event, "data": _data(event)}, now)
    if kind in plain.KINDS:
        return _plain(kind, _data(event), now, buckets)
    change = kind.removeprefix(_EVENTARC)
    if not kind.startswith(_EVENTARC) or change not in _EVENTARC_GONE:
        raise f.Ignored("metadataUpdated" if change == "metadataUpdated" else "other")
    return gcs.change(_data(event), now, gone=_EVENTARC_GONE[change])


def _plain(kind: str, data: dict[str, Any], now: float, buckets: Mapping[str, str]) -> f.Saw:
    bucket = data.get("bucket")
    if not isinstance(bucket, str):
        raise f.Bad("malformed", "data.bucket is missing or no text; name the bucket of the object")
    return plain.read_event({**data, "type": plain.KINDS[kind]}, buckets.get(bucket, bucket), now)


def _data(event: dict[str, Any]) -> dict[str, Any]:
    """The event's data, a JSON object, as it is or in base64."""
    if event.get("data") is None and isinstance(encoded := event.get("data_base64"), str):
        try:
            event = {"data": decoded(base64.b64decode(encoded, validate=True), _SENDER)}
        except (binascii.Error, ValueError, Rejected):
            raise f.Bad("malformed", "data_base64 is not JSON in base64") from None
    return f.members(event, "data")
