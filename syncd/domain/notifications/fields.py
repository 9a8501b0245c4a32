"""What all parsers share: reading one event's fields, and sorting events into seen, bad and ignored.

A parser of one event returns what it saw, or raises `Bad` (it goes to a person) or `Ignored` (it is counted); so one
bad event in a body of thousands never blocks the others. The limits: keys are 1 to 1,024 bytes of UTF-8 without NUL,
sizes are 0 to 2^63 - 1.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from syncd.domain.etags import bare_etag
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import EXCERPT, BadEvent, Notices

MAX_KEY = 1024
"""The longest key, bytes of UTF-8: the limit of S3 and of Cloud Storage."""
MAX_SIZE = 2**63 - 1
MOST_BAD = 1_000
"""So many bad events of one message are kept: millions fit into one, and all would be for the same person."""

Saw = Sequence[tuple[ObjectRef, Observation]]

_BUCKET = re.compile(r"[0-9A-Za-z$][0-9A-Za-z._$-]{0,254}")
_BUCKET_URL = re.compile(r"[a-z][a-z0-9]{1,9}://[!-~]{0,1023}[!-.0-~]")
_DIGITS = re.compile(r"[0-9]{1,19}")
_TOKEN = re.compile(r"[!-~]{1,1024}")
"""Visible ASCII: what etags and version ids are made of everywhere."""


class Ignored(Exception):
    """Nothing of an object's content. The message is its name for counting, one out of few."""


class Unnamed(Ignored):
    """It changed objects without naming them: to be counted, and a reason to list the bucket."""


class Bad(Exception):
    """Nothing that can ever be acted upon: reason and detail of a BadEvent."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def sorted_out(events: Iterable[Any], parse: Callable[[Any], Saw]) -> Notices:
    """All events of a body, each taken by itself."""
    seen: list[tuple[ObjectRef, Observation]] = []
    bad: list[BadEvent] = []
    ignored: dict[str, int] = {}
    rescan, more = False, 0
    for event in events:
        try:
            seen += parse(event)
        except Ignored as name:
            ignored[str(name)] = ignored.get(str(name), 0) + 1
            rescan |= isinstance(name, Unnamed)
        except Bad as error:
            if len(bad) < MOST_BAD:
                bad.append(BadEvent(error.reason, str(error), _excerpt(event)))
            else:
                more += 1
    if more:
        bad.append(BadEvent("too_large", f"{more} more bad events came in one message with others; see those first"))
    return Notices(seen, bad, ignored, rescan)


def _excerpt(event: Any) -> bytes:
    try:
        return orjson.dumps(event)[:EXCERPT]
    except TypeError:  # of headers, which may hold any bytes
        return ascii(event).encode()[:EXCERPT]


# ---------------------------------------------------------------- one event's fields


def members(event: Any, *names: str) -> dict[str, Any]:
    """The object that lies under these names in an event. Bad: there is none."""
    for name in names:
        event = event.get(name) if isinstance(event, dict) else None
    if not isinstance(event, dict):
        where = ".".join(names) or "the event"
        raise Bad("malformed", f"{where} is missing or no JSON object; see what its sender really sends")
    return event


def known_version(version: object, major: str) -> None:
    """Bad unless the version, where one is given, is of this major; minor ones only ever add fields."""
    if version is not None and str(version).partition(".")[0] != major:
        raise Bad("unsupported_version", f"events of version {major}.x are understood; update syncd for newer ones")


def object_ref(scheme: str, bucket: object, key: object) -> ObjectRef:
    """The object an event speaks of, its key decoded already. Bad: never a bucket or a key. Ignored: a directory's."""
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        raise Bad("malformed", "the bucket's name is missing, or no name a bucket can have")
    return ObjectRef(f"{scheme}://{bucket}", checked_key(key))


def bucket_url(url: str) -> str:
    """A bucket's URL, such as `s3://photos`. Bad: it is none."""
    if not _BUCKET_URL.fullmatch(url):
        raise Bad("malformed", "the bucket is neither one of [buckets.*] nor a URL such as s3://photos")
    return url


def checked_key(key: object) -> str:
    """A key that may be one. Bad: never one. Ignored: a directory marker's."""
    if not isinstance(key, str) or not key:
        raise Bad("invalid_key", "the key is missing, empty or no text")
    if "\0" in key:
        raise Bad("invalid_key", "the key holds NUL, which no store of ours can keep; rename the object")
    if len(key.encode()) > MAX_KEY:
        raise Bad("invalid_key", f"the key is longer than {MAX_KEY} bytes; rename the object")
    if key.endswith("/"):
        raise Ignored("directory")
    return key


def unquoted(key: object, *, plus: bool) -> object:
    """A percent-encoded key, decoded once; `plus`: a plus sign is a space, as in forms. Bad: not UTF-8."""
    if not isinstance(key, str):
        return key
    text = key.replace("+", " ") if plus else key
    try:
        return unquote_to_bytes(text).decode() if "%" in text else text  # a third of the time of unquote
    except UnicodeError:
        raise Bad("invalid_key", "the key is not UTF-8 once it is decoded; rename the object") from None


def size_of(value: object) -> int | None:
    """A size in bytes, sent as a number or as text; None: not said. Bad: no size."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise Bad("malformed", "the size is no whole number of bytes between 0 and 2^63 - 1")
    return value


def etag_of(value: object) -> str | None:
    """An etag without its quotes; None: not said, or nothing an etag can be."""
    return token_of(bare_etag(value)) if isinstance(value, str) else None


def token_of(value: object) -> str | None:
    """A version id or another short word of visible ASCII; None: not said, or none."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def version_of(value: object) -> str | None:
    """A version id; None where there is none, which buckets without versions also call `null`."""
    token = token_of(value)
    return None if token == "null" else token  # noqa: S105


# ---------------------------------------------------------------- what was seen


def look(now: float) -> Observation:
    """Something happened to it, and what can only be seen there."""
    return Observation(now)


def created(
    now: float, sequencer: str | None, *, etag: str | None, version_id: str | None = None, size: int | None = None
) -> Observation:
    """A version of an object; a mere look where the event does not say in which order, or which one."""
    if sequencer is None or not (etag or version_id):
        return look(now)
    return Observation(now, etag, version_id, sequencer, size)


def gone(now: float, sequencer: str | None) -> Observation:
    """The object is no more; a mere look where the event does not say in which order."""
    return look(now) if sequencer is None else Observation(now, sequencer=sequencer, gone=True)
