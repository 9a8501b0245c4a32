"""Bytes as they are over loopback, for requests no HTTP library would send; and what they cost in memory."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.known_secrets import HUSH

QUICK_S = 0.05
"""The longest a body that can never be valid may take to be refused, seconds (fault sheet, row 1)."""
MOST_GROWTH = 64 * 1024 * 1024
"""By so much the process may grow for any one request, bytes (fault sheet, section 4)."""


async def exchange(port: int, *pieces: bytes, within: float = 10.0) -> bytes:
    """Send these, then everything that comes back until the other side closes; empty where it says nothing.

    TimeoutError: it leaves the connection open for longer than that.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    came = bytearray()
    try:
        async with asyncio.timeout(within):
            with suppress(ConnectionError):  # it does not read what it has refused
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            with suppress(ConnectionError):
                while part := await reader.read(65536):
                    came += part
    finally:
        writer.close()
    return bytes(came)


def head(*lines: str, path: str = "/events/photos", method: str = "POST") -> bytes:
    """The head of a good request with the token HUSH, and these lines besides."""
    first = (f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Authorization: Bearer {HUSH}")
    return "\r\n".join([*first, *lines]).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def statuses(answer: bytes) -> list[int]:
    """Of all answers on one connection, in order."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answer)]


async def quickest(ask: Callable[[], Awaitable[object]], tries: int = 5) -> float:
    """The least time it takes, seconds: what else runs on the machine only ever adds to it."""
    least = float("inf")
    for _ in range(tries):
        started = time.perf_counter()
        await ask()
        least = min(least, time.perf_counter() - started)
        if least < QUICK_S:
            break
    return least


@contextmanager
def bounded_memory(most: int = MOST_GROWTH) -> Iterator[None]:
    """Fails where this process, the receiver in it, was ever so many bytes larger than at the beginning."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = _peak()
    yield
    assert _peak() - before < most


def _peak() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
