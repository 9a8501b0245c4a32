"""Row 11: a thousand connections that say nothing or not all, to a running daemon; and who does send meanwhile."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.bad_inputs.crowds import FLOOR_S, FULL, p99, timed
from tests.bad_inputs.raw import statuses
from tests.bad_inputs.running import SECRETS, Running, from_cam, running

SLOW = 1_000
ASKS = 300
HEADER_S, BODY_S = (10.0, 30.0) if FULL else (3.0, 6.0)
SPARE_S = 3.0
"""For a loaded machine."""


def head(*lines: str) -> bytes:
    token = SECRETS["CAM_TOKEN"]
    first = ("POST /events/cam HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "Content-Type: application/json")
    return "\r\n".join([*first, *lines]).encode() + b"\r\n\r\n"


BODY = head(f"Content-Length: {len(from_cam('slow.jpg')) + 1_000}") + from_cam("slow.jpg")
KINDS = {  # what they send first, what they send again and again, and when they are closed at the latest
    "idle": (b"", b"", HEADER_S),
    "half a header": (b"POST /events/cam HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"", HEADER_S),
    "a header that trickles": (b"POST /events/cam HTTP/1.1\r\n", b"X-Slow: y\r\n", HEADER_S),
    "half a body": (BODY, b"", BODY_S),
    "a body that trickles": (BODY, b" ", BODY_S),
    "a chunk without a next": (head("Transfer-Encoding: chunked") + b"1\r\n{\r\n", b"", BODY_S),
    "chunks that trickle": (head("Transfer-Encoding: chunked"), b"1\r\n{\r\n", BODY_S),
    "a packed body that trickles": (head("Content-Encoding: gzip", "Content-Length: 90"), b"\x1f", BODY_S),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("daemon"), header=HEADER_S, body=BODY_S) as listens:
        yield listens


class Slow:
    """One of them: what was answered, and when it was closed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.answer = b""
        self.lasted = 0.0

    async def stay(self, port: int) -> None:
        """Until the other side closes."""
        first, again, _ = KINDS[self.kind]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        started = time.perf_counter()
        writer.write(first)
        trickle = asyncio.ensure_future(self._trickle(writer, again))
        try:
            while part := await reader.read(65536):
                self.answer += part
        except ConnectionError:  # it closed while we went on sending
            pass
        self.lasted = time.perf_counter() - started
        trickle.cancel()
        writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter, again: bytes) -> None:
        while again:
            await asyncio.sleep(1)
            writer.write(again)


async def test_whoever_is_too_slow_is_closed_in_time_and_others_do_not_notice(daemon: Running) -> None:
    before, alone = daemon.waiting(), await timed(daemon, ASKS)
    slow = [Slow(kind) for _ in range(SLOW // len(KINDS)) for kind in KINDS]
    async with asyncio.timeout(BODY_S + 120):
        staying = asyncio.gather(*(one.stay(daemon.port) for one in slow))
        await asyncio.sleep(0.3)
        among = await timed(daemon, ASKS)
        await staying
    alone += await timed(daemon, ASKS)
    for kind, (_, _, limit) in KINDS.items():
        longest = max(one.lasted for one in slow if one.kind == kind)
        assert longest <= limit + SPARE_S, (kind, longest)
        answers = {tuple(statuses(one.answer)) for one in slow if one.kind == kind}
        assert answers <= ({(), (400,)} if limit == HEADER_S or "packed" in kind else {(408,)}), kind
    said = f"p99 {p99(among) * 1000:.1f} ms among them, {p99(alone) * 1000:.1f} ms alone"
    assert p99(among) <= 2 * p99(alone) + FLOOR_S, said
    assert daemon.waiting()["object"] == ASKS, (before, "only what the good sender said was stored")
