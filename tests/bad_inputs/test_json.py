"""Rows 1 to 7: bodies that are no JSON, or JSON that parsers differ about, to every sender's route over HTTP."""

import re
from collections.abc import AsyncIterator

import pytest

from tests.bad_inputs.raw import QUICK_S, quickest
from tests.domain.notifications.test_hostile import NEVER
from tests.known_secrets import HUSH
from tests.sources.pushing import Post, counted, listening, made
from tests.sources.test_push_payloads import SENDERS

NUMBERS = {
    "5,000 digits": b"9" * 5000,
    "beyond 64 bits": b"18446744073709551616",
    "beyond 63 bits": b"9223372036854775808",
    "negative": b"-1",
    "beyond a double": b"1e400",
    "a fraction": b"1.5",
    "rounded to a whole one": b"9007199254740993.0",
    "negative zero": b"-0.0",
}


@pytest.fixture
async def post(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    monkeypatch.setenv("TOKEN", HUSH)
    sources = [made(kind, name=name, tokens=[{"env": "TOKEN"}]) for name, (kind, _, _) in SENDERS.items()]
    async with listening(*sources) as listens:
        yield listens


async def send(post: Post, name: str, body: bytes) -> int:
    return (await post.ask("POST", f"/events/{name}", body, SENDERS[name][1])).status


@pytest.mark.parametrize("name", list(SENDERS))
async def test_what_is_no_strict_json_is_400_at_once_and_nothing_is_stored(post: Post, name: str) -> None:
    for body in NEVER:
        answers: set[int] = set()

        async def once(body: bytes = body, answers: set[int] = answers) -> None:
            answers.add(await send(post, name, body))

        least = await quickest(once)
        assert (body[:40], answers) == (body[:40], {400})
        assert least < QUICK_S, f"{body[:40]!r} took {least:.3f} s"
    assert (post.seen, post.bad, post.deliveries) == ([], [], 0)


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
async def test_a_size_that_is_none_is_refused_or_kept_for_a_person_and_never_rounded(post: Post, number: bytes) -> None:
    for name, said in (("minio", rb'"size": 1024'), ("ceph", rb'"size": 10')):
        post.bad.clear()
        body = SENDERS[name][2]("a.jpg").replace(said, b'"size": ' + number)
        assert number in body
        answer = await send(post, name, body)
        assert (answer, [bad.reason for bad in post.bad]) in [(400, []), (204, ["malformed"])]
    assert post.seen == []


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
async def test_a_sequencer_that_would_be_rounded_orders_nothing(post: Post, number: bytes) -> None:
    event = b'{"type": "created", "key": "a", "etag": "e", "sequencer": ' + number + b"}"
    answer = await send(post, "http", b'{"bucket": "photos", "events": [' + event + b"]}")
    assert (answer, [bad.reason for bad in post.bad]) in [(400, []), (204, ["malformed"])]
    assert post.seen == []


@pytest.mark.parametrize("name", list(SENDERS))
async def test_of_a_key_that_stands_twice_the_last_counts_for_every_sender(post: Post, name: str) -> None:
    """The rule that `syncd.domain.decoding` documents."""
    once = SENDERS[name][2]("first.jpg")
    twice = re.sub(rb'("key": ?")([^"]*)first\.jpg"', rb'\1\2first.jpg", \1\2last.jpg"', once)
    assert twice != once
    assert await send(post, name, twice) == 204
    assert post.keys() == ["last.jpg"]


@pytest.mark.parametrize("half", [rb"\ud800", rb"\udfff\ud800", b"\xed\xa0\x80", b"\xff", rb"\u00"])
@pytest.mark.parametrize("name", list(SENDERS))
async def test_a_key_that_is_no_text_is_400_and_reaches_nothing_that_would_encode_it(
    post: Post, name: str, half: bytes
) -> None:
    body = SENDERS[name][2]("mark.jpg").replace(b"mark", half)
    assert await send(post, name, body) == 400
    assert (post.seen, post.bad) == ([], [])


@pytest.mark.parametrize("name", list(SENDERS))
async def test_a_key_with_nul_is_kept_for_a_person_and_marks_nothing(post: Post, name: str) -> None:
    before = counted(name, "bad", "invalid_key")
    assert await send(post, name, SENDERS[name][2]("nul\0.jpg")) == 204
    assert (post.seen, [bad.reason for bad in post.bad]) == ([], ["invalid_key"])
    assert counted(name, "bad", "invalid_key") == before + 1
