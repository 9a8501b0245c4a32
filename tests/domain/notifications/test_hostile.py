"""Whatever comes: keys survive byte for byte, bad bodies are Rejected, bad events bad alone, and no parser breaks."""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.domain.decoding import MAX_DEPTH
from syncd.domain.errors import Rejected
from syncd.domain.model import ObjectRef
from syncd.domain.notifications import EXCERPT, Notices
from syncd.domain.notifications.cloudevents import BATCHED, parse_cloudevents
from syncd.domain.notifications.fields import MAX_KEY
from syncd.domain.notifications.gcs import parse_gcs, unwrap_pubsub_push
from syncd.domain.notifications.sns import signed_text, unwrap_sns
from tests.domain.notifications.hostile import HOSTILE_KEYS, UNTENABLE_KEYS
from tests.domain.notifications.sending import PARSERS, SENDERS, UNORDERED, as_sent, bucket_url, form_encoded

NOW = 1000.0
REASONS = {"invalid_key", "malformed", "unsupported_version", "too_large"}

# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("sender", SENDERS)
def test_hostile_keys_arrive_byte_for_byte(sender: str) -> None:
    for key in HOSTILE_KEYS:
        for gone in (False, True):
            ((ref, seen),) = PARSERS[sender](as_sent(sender, "photos", key, gone=gone), NOW).seen
            assert ref == ObjectRef(bucket_url(sender, "photos"), key)
            assert ObjectRef.from_id(ref.id) == ref
            assert seen.gone == (gone and sender not in UNORDERED)


@pytest.mark.parametrize("sender", SENDERS)
def test_what_can_be_no_key_is_kept_for_a_person(sender: str) -> None:
    for key in UNTENABLE_KEYS:
        if sender == "seaweedfs" and not key:
            continue  # there it is the bucket itself
        notices = PARSERS[sender](as_sent(sender, "photos", key), NOW)
        assert not notices.seen
        assert [bad.reason for bad in notices.bad] == ["invalid_key"]


@pytest.mark.parametrize("sender", ["s3", "minio"])
def test_a_key_that_is_not_utf8_once_decoded_is_kept_for_a_person(sender: str) -> None:
    body = as_sent(sender, "photos", "mark").replace(b"mark", b"%ff%fe")
    assert [bad.reason for bad in PARSERS[sender](body, NOW).bad] == ["invalid_key"]


def test_keys_are_decoded_once() -> None:
    """What a person wrote as `a%2Fb` is sent as `a%252Fb` by those who encode, and as it is by the others."""
    sent = {sender: PARSERS[sender](as_sent(sender, "photos", "a%2Fb"), NOW).seen[0][0].key for sender in SENDERS}
    assert set(sent.values()) == {"a%2Fb"}
    assert form_encoded("a%2Fb c+d") == "a%252Fb+c%2Bd"


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60).filter(
    lambda key: not key.endswith("/")
)


@given(keys, st.sampled_from([sender for sender in SENDERS if sender != "seaweedfs"]))
def test_any_key_arrives_byte_for_byte(key: str, sender: str) -> None:
    assert [ref.key for ref, _ in PARSERS[sender](as_sent(sender, "photos", key), NOW).seen] == [key]


@given(keys)
def test_so_it_does_from_seaweedfs_but_for_its_own_names(key: str) -> None:
    if not key.startswith(".uploads/"):
        assert [ref.key for ref, _ in PARSERS["seaweedfs"](as_sent("seaweedfs", "photos", key), NOW).seen] == [key]


# ---------------------------------------------------------------- bodies that can never be valid

NEVER = [
    b"", b" ", b"x", b"{", b"}", b"{]", b'{"a":1,}', b"[1,]", b"{} {}", b"{}x", b"{'a':1}", b'{"a":NaN}',
    b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e400}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":01}', b'{"a":.5}',
    b'{"a":1.}', b'{"a":+1}', b'{"a":0x1}', b'{"a":"\\ud800"}', b'{"a":"\\udfff\\ud800"}', b'{"\\ud800":1}',
    b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}', b'{"a":"\x00"}', b'{"a":"\n"}', b'{"a":"\\x41"}',
    b'{"a":"\\u00"}', b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32"), b"\x00", b"// c\n{}",
    b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), b"[" * 100_000, b'{"a":' * 100_000,
    b"[" * 900 + b"]" * 900, b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", b"\x1f\x8b\x08\x00", b"<a/>",
]  # fmt: skip
"""As in JSONTestSuite's n_ files, and what only some parsers refuse."""


@pytest.mark.parametrize("sender", SENDERS)
def test_what_is_no_strict_json_is_rejected_and_not_repeated(sender: str) -> None:
    for body in NEVER:
        with pytest.raises(Rejected) as caught:
            PARSERS[sender](body, NOW)
        assert len(str(caught.value)) < 200
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"7", b"null", b'"x"', b"true", b"1.5", b"[]", b"{}", b"[[]]"])
@pytest.mark.parametrize("sender", SENDERS)
def test_json_of_another_shape_is_rejected_or_nothing(sender: str, body: bytes) -> None:
    with suppress(Rejected):
        assert not PARSERS[sender](body, NOW).seen


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    body = as_sent("s3", "photos", "first.jpg").replace(b'"key": "first.jpg"', b'"key": "first.jpg", "key": "last.jpg"')
    assert [ref.key for ref, _ in PARSERS["s3"](body, NOW).seen] == ["last.jpg"]


# ---------------------------------------------------------------- anything at all


def is_sound(notices: Notices) -> None:
    """Whatever was read, nothing of it can break what comes after."""
    for ref, seen in notices.seen:
        assert 0 < len(ref.key.encode()) <= MAX_KEY
        assert "\0" not in ref.key
        assert " " not in ref.bucket
        assert seen.size is None or 0 <= seen.size < 2**63
        assert seen.observed_at == NOW
        for word in (seen.etag, seen.version_id, seen.sequencer):
            assert word is None or (word.isascii() and word.isprintable() and 0 < len(word) <= MAX_KEY)
    for bad in notices.bad:
        assert bad.reason in REASONS
        assert len(bad.excerpt) <= EXCERPT
        assert "\n" not in bad.detail
    assert all("made-up" not in name and len(name) < 40 for name in notices.ignored)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["", "\0", "%ff", "made-up", "2", "null", "a/", "x" * 1100]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(st.binary(max_size=200), st.sampled_from(SENDERS))
def test_any_bytes_are_rejected_or_sound(body: bytes, sender: str) -> None:
    with suppress(Rejected):
        is_sound(PARSERS[sender](body, NOW))


@given(json_values, st.sampled_from(SENDERS))
def test_any_json_is_rejected_or_sound(value: Any, sender: str) -> None:
    with suppress(Rejected):
        is_sound(PARSERS[sender](json.dumps(value).encode(), NOW))


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, inner in members for place in places(inner, (*at, name)))]


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """The value with another at that place; `...` takes it out."""
    if not at:
        return None if new is ... else new
    name, *rest = at
    if rest:
        new = replaced(value[name], tuple(rest), new)
    if isinstance(value, dict):
        return {key: inner for key, inner in {**value, name: new}.items() if inner is not ...}
    return [inner for inner in [*value[:name], new, *value[name + 1 :]] if inner is not ...]


ODD: list[Any] = [..., None, True, 0, -1, 2**64, 1.5, "", "x", "\0", "%ff", "a/", "y" * 1100, [], [[]], {}, {"a": []}]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("sender", SENDERS)
def test_any_one_member_may_be_missing_or_odd(sender: str, gone: bool) -> None:
    message = json.loads(as_sent(sender, "photos", "in/a b.jpg", gone=gone))
    for place in places(message):
        for odd in ODD:
            with suppress(Rejected):
                is_sound(PARSERS[sender](json.dumps(replaced(message, place, odd)).encode(), NOW))


@given(st.sampled_from(SENDERS), st.booleans(), st.data())
def test_a_real_message_with_members_changed_or_missing_is_rejected_or_sound(
    sender: str, gone: bool, data: st.DataObject
) -> None:
    message = json.loads(as_sent(sender, "photos", "in/a b.jpg", gone=gone))
    for _ in range(data.draw(st.integers(1, 2))):
        message = replaced(message, data.draw(st.sampled_from(places(message))), data.draw(json_values | st.just(...)))
    with suppress(Rejected):
        is_sound(PARSERS[sender](json.dumps(message).encode(), NOW))


@given(st.sampled_from(SENDERS), st.integers(0, 2**32), st.integers(1, 8))
def test_a_real_message_with_bytes_changed_is_rejected_or_sound(sender: str, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    body = bytearray(as_sent(sender, "photos", "in/a b+%2F é.jpg"))
    for _ in range(changes):
        body[chance.randrange(len(body))] = chance.randrange(256)
    with suppress(Rejected):
        is_sound(PARSERS[sender](bytes(body), NOW))


@given(st.dictionaries(st.sampled_from(["eventType", "bucketId", "objectId", "objectGeneration", "payloadFormat"]),
                       st.sampled_from(["OBJECT_FINALIZE", "OBJECT_DELETE", "photos", "1", "JSON_API_V1"]) | st.text()),
       st.binary(max_size=40))  # fmt: skip
def test_any_attributes_and_data_are_rejected_or_sound(attributes: Mapping[str, str], data: bytes) -> None:
    with suppress(Rejected):
        is_sound(parse_gcs(attributes, data, NOW))


@given(st.dictionaries(st.sampled_from(["content-type", "ce-specversion", "ce-type"]),
                       st.sampled_from(["1.0", "dev.syncd.object.created", "application/json", BATCHED]) | st.text()),
       json_values)  # fmt: skip
def test_any_headers_are_rejected_or_sound(headers: Mapping[str, str], value: Any) -> None:
    with suppress(Rejected):
        is_sound(parse_cloudevents(headers, json.dumps(value).encode(), NOW))


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_envelope_or_none_or_rejected(body: bytes) -> None:
    with suppress(Rejected):
        unwrap_pubsub_push(body)
    with suppress(Rejected):
        envelope = unwrap_sns(body)
        assert envelope is None or signed_text(envelope)
