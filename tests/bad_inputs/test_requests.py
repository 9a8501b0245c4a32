"""Rows 9 to 17: bodies without an end, framing that two servers read differently, paths and tokens of any bytes."""

import logging
import sys
from collections.abc import AsyncIterator

import pytest

from syncd.sources.minio import MinioSource
from syncd.sources.receiver import Limits
from tests.bad_inputs.raw import bounded_memory, exchange, head, statuses
from tests.known_secrets import HUSH
from tests.sources.amazon import records
from tests.sources.pushing import Post, listening, made

BODY = records("a.jpg").encode()
MIB, GIB = 2**20, 2**30
RIGHT = HUSH.encode()
GOOD = {"Authorization": f"Bearer {HUSH}", "Content-Type": "application/json"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of memory")


@pytest.fixture
async def post(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    """With the limits that are the default, but for the time of a header and of a body."""
    monkeypatch.setenv("TOKEN", HUSH)
    source = made(MinioSource, tokens=[{"env": "TOKEN"}])
    async with listening(source, limits=Limits(header_timeout=2.0, body_timeout=2.0)) as listens:
        yield listens


# ------------------------------------------------------------ bodies without an end


@pytest.mark.parametrize("encoding", ["zstd", "br", "x-gzip", "gzip, gzip", "deflate, gzip", "gzip;q=1", "\xff"])
async def test_an_encoding_that_is_not_undone_is_refused_and_never_guessed(post: Post, encoding: str) -> None:
    answer = await exchange(
        post.port, head("Connection: close", f"Content-Encoding: {encoding}", f"Content-Length: {len(BODY)}"), BODY
    )
    assert statuses(answer) == [415]
    assert post.deliveries == 0


# ------------------------------------------------------------ framing


LENGTH = f"Content-Length: {len(BODY)}"
MUDDLED = {
    "a length and chunks": ([LENGTH, "Transfer-Encoding: chunked"], b"0\r\n\r\n" + BODY),
    "two lengths": ([LENGTH, "Content-Length: 5"], BODY),
    "a list of lengths": (["Content-Length: 5, 6"], BODY),
    "a negative length": (["Content-Length: -5"], BODY),
    "a length with a sign": ([f"Content-Length: +{len(BODY)}"], BODY),
    "a length in words": (["Content-Length: many"], BODY),
    "a length beyond 64 bits": (["Content-Length: 18446744073709551617"], BODY),
    "a chunk of no size": (["Transfer-Encoding: chunked"], b"zz\r\n" + BODY),
    "a chunk of a negative size": (["Transfer-Encoding: chunked"], b"-5\r\n" + BODY),
    "a chunk of a size beyond 64 bits": (["Transfer-Encoding: chunked"], b"1" + b"0" * 17 + b"\r\n" + BODY),
    "a chunk longer than its size": (["Transfer-Encoding: chunked"], b"2\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "an unknown transfer": (["Transfer-Encoding: xchunked"], BODY),
    "a space before the colon": (["Transfer-Encoding : chunked", LENGTH], BODY),
    "a folded header": ([LENGTH, "X-A: b\r\n c\x00"], BODY),
}


@pytest.mark.parametrize(("lines", "body"), MUDDLED.values(), ids=MUDDLED)
async def test_framing_that_can_be_read_in_two_ways_is_400_and_the_connection_closes(
    post: Post, lines: list[str], body: bytes
) -> None:
    answer = await exchange(post.port, head(*lines) + body)
    assert statuses(answer) == [400]
    assert HUSH.encode() not in answer
    assert b"Traceback" not in answer
    assert post.deliveries == 0


@pytest.mark.parametrize("pieces", [1, 2])
async def test_what_follows_a_body_that_is_too_long_for_its_length_is_no_request_and_closes(
    post: Post, pieces: int
) -> None:
    sent = [head(LENGTH) + BODY, BODY]
    answer = await exchange(post.port, *(sent if pieces == 2 else [b"".join(sent)]))
    assert statuses(answer)[-1] == 400
    assert post.keys() == ["a.jpg"] * statuses(answer).count(204), "stored if and only if it was told so"


async def test_a_body_shorter_than_its_length_is_given_up_and_stores_nothing(post: Post) -> None:
    answer = await exchange(post.port, head(f"Content-Length: {len(BODY) + 5}") + BODY)
    assert statuses(answer) == [408]
    assert post.deliveries == 0


# ------------------------------------------------------------ paths and tokens

PATHS = ["//events/photos", "/events/%2e%2e/events/photos", "/events/photos%00", "/events%2fphotos",
         "/events/photos%2f", "/EVENTS/photos", "/events/photos;x", "/events/./../../etc/passwd",
         "/events/%2e%2e%2fmetrics", "*"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_only_looks_like_a_sources_is_404_and_reaches_nothing(post: Post, path: str) -> None:
    answer = await exchange(post.port, head("Connection: close", LENGTH, path=path) + BODY)
    assert statuses(answer)[0] in {400, 404}
    assert path.encode() not in answer.partition(b"\r\n\r\n")[2] or path == "*"
    assert post.deliveries == 0


async def test_a_token_of_a_megabyte_is_refused_and_neither_kept_nor_logged(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with bounded_memory():
        answer = await exchange(post.port, head("Authorization: Bearer " + "nearly-right" * 87_000, LENGTH) + BODY)
    assert statuses(answer) in ([], [400], [431]), "or the connection is cut while it is being sent"
    assert "nearly-right" not in caplog.text
    assert len(answer) < 500, "aiohttp's own answer shows its sender the first bytes of the line that was too long"
    assert post.deliveries == 0


@pytest.mark.parametrize(
    "token",
    [b"\xff\xfe", "höchst".encode(), RIGHT + b"\xc3", b"\x00" + RIGHT, RIGHT + b"\x7f", RIGHT[:9] + b" " + RIGHT[9:]],
    ids=["no text", "not ASCII", "and more", "after NUL", "before DEL", "in two parts"],
)
async def test_a_token_of_any_bytes_is_refused_and_raises_nothing(post: Post, token: bytes) -> None:
    request = head("Connection: close", LENGTH).replace(f"Bearer {HUSH}".encode(), b"Bearer " + token) + BODY
    assert statuses(await exchange(post.port, request))[0] in {400, 401}
    assert post.deliveries == 0


async def test_a_token_opens_its_own_source_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 24: who may speak for one bucket may not speak for another."""
    monkeypatch.setenv("ONE", HUSH)
    monkeypatch.setenv("OTHER", "quiet")
    sources = [made(MinioSource, name=name.lower(), tokens=[{"env": name}]) for name in ("ONE", "OTHER")]
    async with listening(*sources) as post:
        assert [(await post.ask("POST", f"/events/{n}", BODY, GOOD)).status for n in ("one", "other")] == [204, 401]
        assert post.deliveries == 1
