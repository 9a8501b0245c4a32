"""The receiver against senders that are slow, broken or hostile, over real connections."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from syncd.domain.errors import Rejected, Retryable
from syncd.sources.receiver import Inbox, Limits, Probes, Receiver
from tests.known_secrets import HUSH

PATH = "/webhooks/label-studio/photos"
LIMITS = Limits(body=10_000, header_timeout=1.0, body_timeout=0.5)


class Post:
    """One receiver, what it took, and what it answered."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.error: Exception | None = None
        self.trouble = ""
        self.counted: list[tuple[str, int]] = []
        self.port = 0

    async def accept(self, body: bytes) -> None:
        if self.error:
            raise self.error
        self.taken.append(body)

    async def ready(self) -> str:
        return self.trouble

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Post"]:
        probes = Probes(self.ready, lambda: (b"page", "text/plain"), lambda *answer: self.counted.append(answer))
        receiver = Receiver({PATH: Inbox(HUSH, self.accept)}, probes, LIMITS)
        async with receiver.listen("127.0.0.1", 0) as self.port:
            yield self

    async def send(self, *pieces: bytes, pause: float = 0) -> bytes:
        """Everything that comes back until the connection closes; empty when it was closed without a word."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            async with asyncio.timeout(5):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


def request(body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [
        f"POST {PATH} HTTP/1.1",
        "Host: x",
        "Connection: close",
        "Content-Type: application/json",
        f"X-Syncd-Secret: {HUSH}",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with Post().listening() as listening:
        yield listening


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_a_good_webhook_is_taken_and_answered_without_a_body(post: Post) -> None:
    assert status(await post.send(request(b"{}"))) == 204
    assert post.taken == [b"{}"]
    assert post.counted == [("webhook", 204)]


async def test_an_idle_connection_and_a_header_that_never_ends_are_closed(post: Post) -> None:
    started = asyncio.get_running_loop().time()
    answers = await asyncio.gather(post.send(), post.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "))
    assert list(answers) == [b"", b""]
    assert asyncio.get_running_loop().time() - started < 5


async def test_a_header_that_trickles_is_closed_however_busy_it_looks(post: Post) -> None:
    trickle = [b"POST / HTTP/1.1\r\n", *(f"X-{n}: y\r\n".encode() for n in range(20))]
    assert await post.send(*trickle, pause=0.1) == b""


async def test_the_next_header_on_a_connection_may_not_trickle_either(post: Post) -> None:
    first = request(b"{}").replace(b"Connection: close\r\n", b"")
    trickle = [b"POST / HTTP/1.1\r\n", *(f"X-{n}: y\r\n".encode() for n in range(20))]
    assert status(await post.send(first, *trickle, pause=0.1)) in (0, 204)
    assert post.taken == [b"{}"]


async def test_a_body_that_does_not_come_in_time_is_408(post: Post) -> None:
    assert status(await post.send(request(b"{", length=10))) == 408
    assert post.taken == []


async def test_a_body_over_the_limit_is_413_with_and_without_compression(post: Post) -> None:
    bomb = gzip.compress(b"x" * 1_000_000)
    assert status(await post.send(request(b"x" * 20_000))) == 413
    assert status(await post.send(request(bomb, "Content-Encoding: gzip"))) == 413
    assert post.taken == []


async def test_a_body_that_is_not_what_its_encoding_says_is_400(post: Post) -> None:
    assert status(await post.send(request(b"not gzip", "Content-Encoding: gzip"))) == 400


async def test_two_secrets_or_a_strange_one_do_not_open(post: Post) -> None:
    assert status(await post.send(request(b"{}", f"X-Syncd-Secret: {HUSH}"))) == 401
    strange = request(b"{}").replace(HUSH.encode(), b"h\xfcsh\xff")
    assert status(await post.send(strange)) in (400, 401)
    assert post.taken == []


async def test_what_can_never_be_valid_is_400_and_our_own_trouble_503_with_a_time_to_come_back(post: Post) -> None:
    post.error = Rejected("this is no webhook")
    assert status(await post.send(request(b"{}"))) == 400
    post.error = Retryable("the disk is full")
    answer = await post.send(request(b"{}"))
    assert status(answer) == 503
    assert b"Retry-After: " in answer
    assert b"disk" not in answer


async def test_an_unknown_path_is_404_and_not_echoed(post: Post) -> None:
    answer = await post.send(request(b"{}").replace(b"photos", b"<script>"))
    assert status(answer) == 404
    assert b"script" not in answer


async def test_ready_says_why_not(post: Post) -> None:
    get = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert status(await post.send(get)) == 200
    post.trouble = "the state store cannot be written"
    answer = await post.send(get)
    assert status(answer) == 503
    assert b"state store" in answer
    assert status(await post.send(get.replace(b"readyz", b"livez"))) == 200
