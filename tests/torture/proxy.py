"""Proxies that spoil what passes: of HTTP/1.1 on loopback, request by request, and of any protocol on a Unix socket.

Bytes are passed on as they came, so that signed requests still verify (the `Host` is the proxy's, on both sides). A
request is read whole, and so is its answer: what is cut off after the commit has truly happened. Each runs in the
thread of its `Proxies`.
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.torture import mischief as m

_HEAD_LIMIT = 1 << 20
_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:.*chunked", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(rb"^connection:\s*close", re.IGNORECASE | re.MULTILINE)
_GOING_ON = re.compile(rb"^expect:\s*100-continue\r\n", re.IGNORECASE | re.MULTILINE)
_TRICKLE_S = 0.01
_PIECES = 40

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Message:
    """A request or an answer, as it came. `last`: the connection ends with it."""

    head: bytes
    body: bytes
    last: bool

    @property
    def whole(self) -> bytes:
        """All of it."""
        return self.head + self.body


class Proxies:
    """Proxies that live as long as the context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies")
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def http(self, target: int, mischief: m.Mischief, port: int = 0) -> int:
        """A proxy of what listens on the port `target`; its own port."""

        async def serve(client: Streams) -> None:
            while await _pass(client, target, mischief):
                pass

        return self._listen(serve, port)

    def unix(self, socket_file: Path, target: Path, mischief: m.Mischief) -> None:
        """A proxy of a Unix socket, knowing no protocol: it holds up what passes, and ends connections, at random."""

        async def serve(client: Streams) -> None:
            await _pump(client, await asyncio.open_unix_connection(str(target)), mischief)

        self._started(asyncio.start_unix_server(_accepting(serve), str(socket_file)))

    def _listen(self, serve: Callable[[Streams], Awaitable[None]], port: int) -> int:
        server = self._started(asyncio.start_server(_accepting(serve), "127.0.0.1", port, limit=_HEAD_LIMIT))
        return int(server.sockets[0].getsockname()[1])

    def _started(self, listening: Coroutine[Any, Any, asyncio.Server]) -> asyncio.Server:
        self._servers.append(asyncio.run_coroutine_threadsafe(listening, self._loop).result(10))
        return self._servers[-1]

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _accepting(serve: Callable[[Streams], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve((reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # one side went away: so does the other
            pass
        finally:
            writer.close()

    return accepted


# ---------------------------------------------------------------- HTTP


async def _pass(client: Streams, target: int, mischief: m.Mischief) -> bool:
    """One request and its answer; False when the connection is over."""
    request = await _read(client[0], client[1])
    if request is None:
        return False
    await asyncio.sleep(mischief.next_delay())
    fault = mischief.next_fault()
    if fault == m.RESET:
        return _reset(client, fault, mischief)
    if fault == m.ERROR:
        mischief.done[fault] += 1
        return await _send(client, Message(mischief.next_error(), b"", request.last))
    answer = await _asked(target, request)
    return await _spoilt(client, answer, fault, mischief) if fault else await _send(client, answer)


async def _spoilt(client: Streams, answer: Message, fault: str, mischief: m.Mischief) -> bool:
    """Answer badly; what was asked for has been done."""
    if fault == m.CUT:
        return _reset(client, fault, mischief)
    mischief.done[fault] += 1
    if fault == m.TRICKLED:
        size = len(answer.whole) // _PIECES + 1
        for start in range(0, len(answer.whole), size):
            client[1].write(answer.whole[start : start + size])
            await asyncio.sleep(_TRICKLE_S)
        return not answer.last
    client[1].write(answer.whole[: mischief.part_of(len(answer.whole))])
    await client[1].drain()
    if fault == m.RESET_WITHIN:
        await asyncio.sleep(_TRICKLE_S)
        _abort(client[1])
    return False


async def _asked(target: int, request: Message) -> Message:
    """What the server answers to a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target, limit=_HEAD_LIMIT)
    try:
        writer.write(request.whole)
        answer = await _read(reader, None, bodiless=request.head.startswith(b"HEAD "))
        if answer is None:
            raise ConnectionError
        return answer
    finally:
        writer.close()


async def _read(
    reader: asyncio.StreamReader, sender: asyncio.StreamWriter | None, *, bodiless: bool = False
) -> Message | None:
    """The next message; None at the end of the connection. `sender`: it is a request, whose sender may wait to go on.

    Without a length a request has no body, and an answer goes on to the end.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    if sender and _GOING_ON.search(head):
        head = _GOING_ON.sub(b"", head)
        sender.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    status = 0 if sender else int(head.split(b" ", 2)[1])
    if bodiless or status in {204, 304}:
        return Message(head, b"", bool(_CLOSING.search(head)))
    if length := _LENGTH.search(head):
        return Message(head, await reader.readexactly(int(length[1])), bool(_CLOSING.search(head)))
    if _CHUNKED.search(head):
        return Message(head, await _chunks(reader), bool(_CLOSING.search(head)))
    return Message(head, b"" if sender else await reader.read(-1), not sender)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readline()
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if not size:
            return body


async def _send(client: Streams, answer: Message) -> bool:
    client[1].write(answer.whole)
    await client[1].drain()
    return not answer.last


# ---------------------------------------------------------------- any protocol


async def _pump(client: Streams, server: Streams, mischief: m.Mischief) -> None:
    one_way = [
        asyncio.create_task(_copy(client[0], server[1], mischief)),
        asyncio.create_task(_copy(server[0], client[1], mischief)),
    ]
    try:
        await asyncio.wait(one_way, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in one_way:
            way.cancel()
        server[1].transport.abort()
        client[1].transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mischief: m.Mischief) -> None:
    while piece := await reader.read(1 << 16):
        await asyncio.sleep(mischief.next_delay())
        fault = mischief.next_fault()
        if fault:
            mischief.done[fault] += 1
            return
        writer.write(piece)
        await writer.drain()


# ---------------------------------------------------------------- ends


def _reset(client: Streams, fault: str, mischief: m.Mischief) -> bool:
    mischief.done[fault] += 1
    _abort(client[1])
    return False


def _abort(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
