"""Everything that reads bytes of others, as functions of bytes that fail where something is wrong.

A target raises nothing for an input that its reader refuses by one of the errors it names; whatever else comes out of
it is a finding. `EVENTS` are the parsers of events; those of `documents` read what lies in buckets, or annotators tell.
"""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from syncd.domain import sequencers
from syncd.domain.decoding import MAX_DEPTH, decoded
from syncd.domain.errors import Rejected
from syncd.domain.events import MAX_ID, parse_label_studio
from syncd.domain.media_links import MediaLinks
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import Notices
from syncd.domain.notifications.cloudevents import parse_cloudevents
from syncd.domain.notifications.sns import signed_text, unwrap_sns
from syncd.domain.standard_webhooks import is_signed, sign, signing_key
from tests.domain.notifications.hostile import HOSTILE_KEYS
from tests.domain.notifications.sending import PARSERS, as_sent
from tests.domain.notifications.test_hostile import NOW, is_sound
from tests.known_secrets import signing_secret

_OBSERVATION = TypeAdapter(Observation)


@dataclass(frozen=True)
class Target:
    """One reader. `try_` fails where the reader does; `samples` are inputs as they really come."""

    name: str
    try_: Callable[[bytes], None]
    samples: Sequence[bytes] = field(default=(), repr=False)


# ---------------------------------------------------------------- notifications


def kept(notices: Notices) -> None:
    """Whatever was read can be kept in the state, and comes back the same."""
    is_sound(notices)
    for ref, seen in notices.seen:
        assert ObjectRef.from_id(ref.id) == ref
        assert _OBSERVATION.validate_json(_OBSERVATION.dump_json(seen)) == seen
        ref.id.encode()
    for bad in notices.bad:
        bad.detail.encode()
    assert all(count > 0 for count in notices.ignored.values())


def _notification(parse: Callable[[bytes, float], Notices], data: bytes) -> None:
    with suppress(Rejected):
        kept(parse(data, NOW))


def _samples(sender: str) -> list[bytes]:
    keys = ["in/a b+%2F é.jpg", *HOSTILE_KEYS[:6]]
    return [as_sent(sender, "photos", key, gone=gone) for key in keys for gone in (False, True)]


def _over_http(data: bytes) -> None:
    """Headers, a line each, a blank line, and the body: the three modes of CloudEvents."""
    head, _, body = data.partition(b"\n\n")
    lines = (line.partition(": ") for line in head.decode("utf-8", "surrogateescape").split("\n"))
    with suppress(Rejected):
        kept(parse_cloudevents({name.lower(): value for name, _, value in lines}, body, NOW, {"photos": "s3://photos"}))


_BINARY = (
    b"ce-specversion: 1.0\nce-type: dev.syncd.object.created\nce-source: /up\nce-id: 1\ncontent-type: application/json"
)
_BODY = b'{"bucket": "photos", "key": "a.jpg", "sequencer": 7}'
_BATCH = b"content-type: application/cloudevents-batch+json\n\n[" + as_sent("eventarc", "photos", "a.jpg") + b"]"


def _envelope(data: bytes) -> None:
    with suppress(Rejected):
        envelope = unwrap_sns(data)
        assert envelope is None or signed_text(envelope)


# ---------------------------------------------------------------- webhooks


def _webhook(data: bytes) -> None:
    with suppress(Rejected):
        event = parse_label_studio(data)
        for ids in (event.task_ids, event.annotation_ids):
            assert all(id_.isdecimal() and 0 < int(id_) <= MAX_ID for id_ in ids)
            assert len(set(ids)) == len(ids)


_HOOKS = [
    b'{"action": "ANNOTATION_CREATED", "annotation": {"id": 5, "task": 7, "result": []}, "task": {"id": 7}}',
    b'{"action": "ANNOTATIONS_CREATED", "annotation": [{"id": 5, "task": 7}, {"id": 6, "task": 8}]}',
    b'{"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 5}, {"id": 6}]}',
]


def _json(data: bytes) -> None:
    """What is taken for JSON is JSON to another parser too, and says the same, but for integers beyond 64 bits."""
    with suppress(Rejected):
        value = decoded(data, "anybody")
        assert _depth(value) <= MAX_DEPTH
        other = json.loads(data.decode(), parse_int=_int, parse_float=_float, parse_constant=_never)
        assert value == other
        json.dumps(value, ensure_ascii=False).encode()


def _int(text: str) -> int | float:
    return int(text) if len(text) < 30 and -(2**63) <= int(text) < 2**64 else _float(text)


def _float(text: str) -> float:
    number = float(text)
    assert math.isfinite(number), "a number that no double holds"
    return number


def _never(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max((_depth(one) for one in inner), default=0)


# ---------------------------------------------------------------- words


def _sequencers(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    made = [sequencers.hexadecimal("s3", text), sequencers.ceph(text), sequencers.plain(text)]
    made += [sequencers.generation(text, gone=gone) for gone in (False, True)]
    known = [one for one in made if one]
    for one in known:
        assert one.isascii()
        assert one.isprintable()
        assert len(one) < 100
        assert sequencers.order(one, one) == 0
    for one in known:
        for other in known:
            assert (sequencers.order(one, other) is None) == (one.partition(":")[0] != other.partition(":")[0])
    assert sequencers.order(text, text) == 0


_KEY = signing_key(signing_secret("fuzz"))


def _signature(data: bytes) -> None:
    """Three headers, a line each, a blank line, and the body; it opens only as it was signed."""
    head, _, body = data.partition(b"\n\n")
    lines = (line.partition(": ") for line in head.decode("utf-8", "surrogateescape").split("\n"))
    headers = {name: value for name, _, value in lines}
    if is_signed(headers, body, [_KEY], NOW):
        code = sign(headers["webhook-id"], int(headers["webhook-timestamp"]), body, [_KEY])["webhook-signature"]
        assert code in headers["webhook-signature"].split(" ")


_SIGNED = "\n".join(f"{name}: {value}" for name, value in sign("m1", int(NOW), b"{}", [_KEY]).items()).encode()


def _secret(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        assert 24 <= len(signing_key(text)) <= 64
    except ValueError as error:
        assert len(text) < 16 or text not in str(error)  # noqa: PT017 - it may be raised, and may not tell


_LINKS = MediaLinks("http://127.0.0.1", b"k" * 32)
_LINK = _LINKS.link("fruits", ObjectRef("s3://photos", "a é.jpg")).split("/")[5]


def _link(data: bytes) -> None:
    """Only what we made leads anywhere."""
    token = data.decode("utf-8", "replace")
    ref = _LINKS.read("fruits", token)
    assert ref is None or (token == _LINK and ref.key == "a é.jpg")
    query = {"until": token.partition("&")[0], "signature": token.partition("&")[2]}
    assert not _LINKS.is_timed("fruits", ObjectRef("s3://photos", "a"), query, NOW)


EVENTS = [
    *(Target(name, partial(_notification, parse), _samples(name)) for name, parse in PARSERS.items()),
    Target("cloudevents-http", _over_http, [_BINARY + b"\n\n" + _BODY, _BATCH]),
    Target("sns-envelope", _envelope, _samples("sns")),
    Target("label-studio", _webhook, _HOOKS),
    Target(
        "decoding", _json, [b'{"a": [1, 1.5, "\\u00e9", null, true, {"b": 18446744073709551615}]}', b"[1e308, -0.0]"]
    ),
    Target("sequencers", _sequencers, [b"0055AED6DCD90281E5", b"6FCE016B2C456407", b"1700000000000000", b"v7"]),
    Target("standard-webhooks", _signature, [_SIGNED + b"\n\n{}"]),
    Target("signing-key", _secret, [signing_secret("fuzz").encode()]),
    Target("media-links", _link, [_LINK.encode(), b"99999999999&" + b"A" * 32]),
]
