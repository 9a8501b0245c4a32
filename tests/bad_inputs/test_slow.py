"""Row 11: a thousand connections that say nothing or not all, and who does send meanwhile."""

import asyncio
import time
from statistics import quantiles

import aiohttp
import pytest

from syncd.sources.minio import MinioSource
from syncd.sources.receiver import Limits
from tests.bad_inputs.raw import head
from tests.known_secrets import HUSH
from tests.sources.amazon import records
from tests.sources.pushing import Post, listening, made

SLOW = 1_000
HEADER_S, BODY_S = 2.0, 3.0
"""For the 10 and 30 s of the default."""
BEGINNINGS = [b"", b"POST /events/photos HTTP/1.1\r\nHost: x\r\nX-Slow: ", head("Content-Length: 50") + b"{",
              head("Transfer-Encoding: chunked") + b"1\r\n{\r\n"]  # fmt: skip
"""Nothing, half a header, half a body, and a chunk without a next."""


async def p99(post: Post, asks: int = 200) -> float:
    """Of the answers to a good sender, seconds."""
    took: list[float] = []
    headers = {"Authorization": f"Bearer {HUSH}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for n in range(asks):
            started = time.perf_counter()
            async with session.post(post.url("/events/photos"), data=records(f"{n}").encode()) as answer:
                assert answer.status == 204
            took.append(time.perf_counter() - started)
    return quantiles(took, n=100)[98]


async def closed(reader: asyncio.StreamReader) -> float:
    """When the other side closed it."""
    while await reader.read(65536):
        pass
    return time.perf_counter()


async def test_a_thousand_slow_connections_are_closed_in_time_and_others_do_not_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN", HUSH)
    limits = Limits(header_timeout=HEADER_S, body_timeout=BODY_S)
    async with listening(made(MinioSource, tokens=[{"env": "TOKEN"}]), limits=limits) as post:
        alone = await p99(post)
        started = time.perf_counter()
        slow = [await asyncio.open_connection("127.0.0.1", post.port) for _ in range(SLOW)]
        for n, (_, writer) in enumerate(slow):
            writer.write(BEGINNINGS[n % len(BEGINNINGS)])
        among = await p99(post)
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*(closed(reader) for reader, _ in slow), return_exceptions=True)
        for _, writer in slow:
            writer.close()
        assert len(post.seen) == 400
    last = max(end for end in ends if isinstance(end, float)) - started
    assert last < HEADER_S + BODY_S + 3, "a body that ends its time leaves the sender no more than that of a header"
    assert among <= 2 * alone + 0.05, f"p99 {among * 1000:.1f} ms among them, {alone * 1000:.1f} ms alone"
