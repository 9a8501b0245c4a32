"""syncd's own events, for uploaders no other source speaks for: small JSON that names objects of one bucket.

Called by the source of type `http` (`POST /events/NAME`), and by `cloudevents` for the types CREATED and DELETED, whose
data is a bucket and one event. `PlainEvents` is what OpenAPI shows. Keys are sent as they are. Events without a
sequencer say only: look at the object; so a sender that does not know the order need not make one up.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from syncd.domain import sequencers
from syncd.domain.decoding import decoded_object
from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications import fields as f

CREATED = "dev.syncd.object.created"
DELETED = "dev.syncd.object.deleted"

KINDS = {CREATED: "created", DELETED: "deleted"}
"""The types of CloudEvents, and what a plain event calls them."""
_Sequence = Annotated[int, Field(ge=0, le=f.MAX_SIZE)]
_Text = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,64}$")]


class PlainEvent(BaseModel):
    """One object that came, changed or went. Unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    type: Literal["created", "deleted"] = Field(description="created: written or overwritten; deleted: no more there.")
    key: str = Field(
        description="The object's key, as it is: nothing is decoded. At most 1024 bytes of UTF-8.",
        examples=["cats/1 été.jpg"],
    )
    etag: str | None = Field(None, description="The object's etag, with or without quotes. Default: unknown.")
    version_id: str | None = Field(None, description="Its version id, in a bucket with versions. Default: unknown.")
    size: Annotated[int, Field(ge=0, le=f.MAX_SIZE)] | None = Field(None, description="Bytes. Default: unknown.")
    sequencer: _Sequence | _Text | None = Field(
        None,
        description="Orders the events of one key: a whole number that grows, or letters and digits compared as text "
        "(the shorter padded with zeros on the right). Default: none; the object is looked at instead.",
    )


class PlainEvents(BaseModel):
    """Events of one bucket. One that is wrong is kept for a person and does not hold up the others."""

    model_config = ConfigDict(strict=True, frozen=True)

    bucket: str = Field(
        description="The bucket: the name of its [buckets.*] table, or its URL.", examples=["photos", "s3://photos"]
    )
    events: list[PlainEvent] = Field(description="What happened, in any order.")


def parse_plain(body: bytes, now: float, buckets: Mapping[str, str] | None = None) -> Notices:
    """What a body speaks of. `buckets`: URLs by the names that may stand for them. Rejected: it has not this shape."""
    message = decoded_object(body, "a sender of this schema")
    bucket, events = message.get("bucket"), message.get("events")
    if not isinstance(bucket, str) or not isinstance(events, list):
        raise Rejected('the body has no "bucket" and list of "events"; see POST /events in /openapi.json')
    url = (buckets or {}).get(bucket, bucket)
    return f.sorted_out(events, lambda event: read_event(event, url, now))


def read_event(event: Any, bucket: str, now: float) -> f.Saw:
    """What one event of a bucket (URL) says."""
    try:
        said = PlainEvent.model_validate(event)
    except ValidationError as error:
        raise f.Bad("malformed", _fault(error)) from None
    ref = ObjectRef(f.bucket_url(bucket), f.checked_key(said.key))
    return [(ref, _observation(said, now))]


def _observation(said: PlainEvent, now: float) -> Observation:
    sequencer = sequencers.plain(said.sequencer)
    if said.type == "deleted":
        return f.gone(now, sequencer)
    version = f.version_of(said.version_id)
    return f.created(now, sequencer, etag=f.etag_of(said.etag), version_id=version, size=said.size)


def _fault(error: ValidationError) -> str:
    """Where it is wrong, without a word of what was sent."""
    fields = {str(fault["loc"][0]) if fault["loc"] else "event" for fault in error.errors(include_input=False)}
    return f"not of the schema: {', '.join(sorted(fields))}; see POST /events in /openapi.json"
