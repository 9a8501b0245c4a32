"""Row 50 by number: a million of each name that a sender chooses with `SYNCD_TORTURE=1`, else some thousand."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

import pytest

from tests.bad_inputs.conftest import Daemon
from tests.sources.amazon import records

MANY = 1_000_000 if os.environ.get("SYNCD_TORTURE") else 5_000
PIPELINED = 100
SENDERS = 8
Send = Callable[[Daemon, int, int], Awaitable[None]]


async def events(daemon: Daemon, start: int, count: int) -> None:
    """Keys, buckets and event names: a thousand in a body. No bucket is the source's, so nothing is stored."""
    for at in range(start, start + count, 1_000):
        body = json.loads(records(*(f"made-up-{n}" for n in range(at, at + 1_000)), bucket="x"))
        for n, record in enumerate(body["Records"]):
            record["s3"]["bucket"]["name"] = f"made-up-{at + n}"
            record["eventName"] = f"s3:Made-up:Up{at + n}" if n % 3 == 0 else record["eventName"]
        assert (await daemon.event(json.dumps(body).encode())).status == 204


async def requests(daemon: Daemon, start: int, count: int) -> None:
    """Paths and user agents, a hundred at a time on a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.parts.config.receiver.port)
    for at in range(start, start + count, PIPELINED):
        lines = (
            f"GET /made-up/{n} HTTP/1.1\r\nHost: x\r\nUser-Agent: made-up-{n}\r\n\r\n"
            for n in range(at, at + PIPELINED)
        )
        writer.write("".join(lines).encode())
        for _ in range(PIPELINED):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 ")
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    writer.close()


async def methods(daemon: Daemon, start: int, count: int) -> None:
    """Methods that nobody knows; each costs its connection, so there is one in fifty."""
    for n in range(start, start + count // 50):
        assert (await daemon.ask(f"MADEUP{n}", "/events/cam")).status in {400, 405}


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("send", [events, requests, methods], ids=lambda send: send.__name__)
async def test_names_without_number_make_no_series_and_the_page_stays_small(daemon: Daemon, send: Send) -> None:
    await send(daemon, 0, 1_000)
    await daemon.page()  # which is an answer to be counted itself
    before = await daemon.page()
    each = MANY // SENDERS // 1_000 * 1_000 or 1_000
    await asyncio.gather(*(send(daemon, 1_000 + each * lane, each) for lane in range(SENDERS)))
    after = await daemon.page()
    assert len(after.splitlines()) == len(before.splitlines())
    assert len(after) < 1_000_000
    assert "made-up" not in after.lower()
    assert "MADEUP" not in after
