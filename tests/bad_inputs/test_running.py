"""Rows 2, 9, 12, 13 and 17 to a running daemon: what it answers, what it costs its memory, and what it writes."""

import asyncio
import gzip
import sys
import zlib
from collections.abc import Callable

import pytest

from tests.bad_inputs.raw import MOST_GROWTH, exchange, statuses
from tests.bad_inputs.running import SECRETS, Running, from_cam

MIB, GIB = 2**20, 2**30
Bodies = dict[str, tuple[list[str], Callable[[], bytes], int]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of memory")


def head(*lines: str) -> bytes:
    """The head of a good request to `cam`, and these lines besides."""
    token = SECRETS["CAM_TOKEN"]
    first = ("POST /events/cam HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "Content-Type: application/json")
    return "\r\n".join([*first, *lines]).encode() + b"\r\n\r\n"


def bomb(wbits: int) -> bytes:
    """A GiB of zeros in about a MB; it has no end, for nobody may read so far."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    first, piece = (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + piece * (GIB // MIB - 1)


BODIES: Bodies = {
    "a bomb of gzip": (["Content-Encoding: gzip"], lambda: bomb(31), 413),
    "a bomb of deflate": (["Content-Encoding: deflate"], lambda: bomb(15), 413),
    "a bomb of bare deflate": (["Content-Encoding: deflate"], lambda: bomb(-15), 413),
    "a bomb packed twice": (["Content-Encoding: gzip, gzip"], lambda: gzip.compress(bomb(31)), 415),
    "20,000 members": (["Content-Encoding: gzip"], lambda: gzip.compress(b"") * 20_000, 400),
    "zstd": (["Content-Encoding: zstd"], lambda: b"\x28\xb5\x2f\xfd" + bytes(MIB), 415),
    "brotli": (["Content-Encoding: br"], lambda: bytes(MIB), 415),
    "100,000 arrays": ([], lambda: b"[" * 100_000 + b"]" * 100_000, 400),
    "100,000 objects": ([], lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "wide and not deep": ([], lambda: b"[" + b"[]," * 2_600_000 + b"[]]", 400),
    "lists of a number": ([], lambda: b"[" + b"[300]," * 1_300_000 + b"1]", 400),
    "names that are all different": ([], lambda: b"{%s}" % b",".join(b'"%x":1' % n for n in range(700_000)), 400),
    "texts of two letters": ([], lambda: b"[" + b'"ab",' * 1_600_000 + b"1]", 400),
    "as many numbers as are taken": ([], lambda: b"[" + b"1.5," * 1_040_000 + b"1]", 400),
    "a wide text of 8 MB": ([], lambda: b'"' + b"x" * (8 * MIB - 10) + "🦊".encode() + b'"', 400),
    "a text of 8 MB": ([], lambda: b'"' + b"x" * (8 * MIB - 2) + b'"', 400),
    "a number of 8 MB": ([], lambda: b"1" * 8 * MIB, 400),
    "larger than the limit": ([], lambda: bytes(8 * MIB + 1), 413),
}


@pytest.mark.parametrize("name", BODIES)
async def test_no_body_takes_more_than_64_mb(daemon_process: Running, name: str) -> None:
    lines, made, expected = BODIES[name]
    body, before, memory = made(), daemon_process.waiting(), daemon_process.memory()
    answer = await exchange(
        daemon_process.port, head(*lines, f"Content-Length: {len(body)}", "Connection: close"), body
    )
    assert statuses(answer) == [expected]
    assert memory.grown() < MOST_GROWTH
    assert daemon_process.waiting() == before


@pytest.mark.parametrize("framing", [f"Content-Length: {GIB}", "Transfer-Encoding: chunked"])
async def test_a_body_of_a_gigabyte_is_413_long_before_its_end(daemon_process: Running, framing: str) -> None:
    piece = bytes(64 * 1024)
    chunk = piece if "Length" in framing else b"%x\r\n" % len(piece) + piece + b"\r\n"
    memory = daemon_process.memory()
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon_process.port)
    async with asyncio.timeout(30):
        writer.write(head(framing))
        answering, sent = asyncio.create_task(reader.readline()), 0
        while not answering.done():
            writer.write(chunk)
            await writer.drain()
            sent += len(piece)
            await asyncio.sleep(0)
        assert statuses(await answering) == [413]
        await reader.read()
    writer.close()
    assert sent < 128 * MIB
    assert memory.grown() < MOST_GROWTH


async def test_what_comes_after_a_length_and_chunks_is_no_second_request(daemon_process: Running) -> None:
    """As two servers in a row would each read it in a way of their own."""
    before = daemon_process.waiting()
    hidden = head(f"Content-Length: {len(from_cam('hidden.jpg'))}") + from_cam("hidden.jpg")
    for framing in (["Content-Length: 4", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked, identity"]):
        answer = await exchange(daemon_process.port, head(*framing) + b"0\r\n\r\n" + hidden)
        assert statuses(answer) == [400]
    assert daemon_process.waiting() == before


NO_HTTP = {
    "a header without a colon": head("X-Token " + SECRETS["CAM_TOKEN"]),
    "a token of a megabyte": head("X-Token: " + SECRETS["CAM_TOKEN"] * 30_000),
    "a broken request line": b"POST /events/cam?code=" + SECRETS["CAM_TOKEN"].encode() + b"\r\n\r\n",
    "a header with NUL": head("X-Token: \0" + SECRETS["CAM_TOKEN"]),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00" + SECRETS["CAM_TOKEN"].encode() + bytes(500),
    "a body longer than its length": head("Content-Length: 2") + b"{}" + SECRETS["CAM_TOKEN"].encode() + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
async def test_what_is_no_http_is_answered_and_logged_without_a_byte_of_it(daemon_process: Running, name: str) -> None:
    answer = await exchange(daemon_process.port, NO_HTTP[name])
    assert statuses(answer)[-1:] in ([], [400]), "or the connection is cut while it is being sent"
    assert SECRETS["CAM_TOKEN"][:8].encode() not in answer
    assert SECRETS["CAM_TOKEN"][:8] not in daemon_process.log()
