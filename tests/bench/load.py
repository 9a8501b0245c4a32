"""A load generator of HTTP POSTs: made requests over raw sockets, so that it costs a tenth of the server it measures.

Called by the benches, in another process than the server. Every answer must be a 2xx; anything else is an error, for
a figure of refused requests says nothing.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HOST = "127.0.0.1"
_WAIT_S = 60.0


def request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """One POST of JSON as it goes over the wire."""
    told = {"Host": _HOST, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def one_by_one(port: int, requests: Iterable[bytes]) -> list[float]:
    """Seconds until each was acknowledged, one after the other over one connection."""
    took: list[float] = []
    with _connected(port) as connection:
        connection.settimeout(_WAIT_S)
        for sent in requests:
            begun = time.perf_counter()
            connection.sendall(sent)
            answer = b""
            while not _is_whole(answer):
                answer += _received(connection)
            took.append(time.perf_counter() - begun)
            _check(answer)
    return took


def saturated(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Acknowledged requests per second, with one always under way on every connection."""
    begun = time.perf_counter()
    Load(port, connections).run(deque((0.0, sent) for sent in requests))
    return len(requests) / (time.perf_counter() - begun)


def paced(port: int, requests: Sequence[bytes], per_second: float, connections: int) -> list[float]:
    """Seconds until each was acknowledged, counted from when it was due: who is late makes no other one later."""
    return Load(port, connections).run(deque((n / per_second, sent) for n, sent in enumerate(requests)))


@dataclass(eq=False)
class _Line:
    """One connection, and what it waits for."""

    connection: socket.socket
    due: float = 0.0
    answer: bytes = b""


class Load:
    """Connections kept alive, and what runs over them."""

    def __init__(self, port: int, connections: int) -> None:
        self._lines = [_Line(_connected(port)) for _ in range(connections)]
        self._idle = deque(self._lines)

    def run(self, waiting: deque[tuple[float, bytes]]) -> list[float]:
        """Send each at its second, or once a connection is idle; the seconds each took. The connections are closed."""
        took: list[float] = []
        count, begun = len(waiting), time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for line in self._lines:
                line.connection.setblocking(False)
                selector.register(line.connection, selectors.EVENT_READ, line)
            while len(took) < count:
                self._send(waiting, time.perf_counter() - begun)
                for key, _ in selector.select(self._pause(waiting, time.perf_counter() - begun)):
                    if self._receive(key.data):
                        took.append(time.perf_counter() - begun - key.data.due)
        for line in self._lines:
            line.connection.close()
        return took

    def _send(self, waiting: deque[tuple[float, bytes]], now: float) -> None:
        while waiting and self._idle and waiting[0][0] <= now:
            line = self._idle.popleft()
            line.due, sent = waiting.popleft()
            line.connection.sendall(sent)

    def _receive(self, line: _Line) -> bool:
        """Whether its answer is whole; then it is idle again."""
        line.answer += _received(line.connection)
        if not _is_whole(line.answer):
            return False
        _check(line.answer)
        line.answer = b""
        self._idle.append(line)
        return True

    def _pause(self, waiting: deque[tuple[float, bytes]], now: float) -> float:
        return max(0.0, waiting[0][0] - now) if waiting and self._idle else _WAIT_S


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection((_HOST, port), _WAIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _received(connection: socket.socket) -> bytes:
    if received := connection.recv(65_536):
        return received
    raise ConnectionError("the server closed the connection")


def _is_whole(answer: bytes) -> bool:
    """A 2xx of ours has no body; of anything else the head is enough to fail on."""
    return b"\r\n\r\n" in answer


def _check(answer: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"refused: {answer[:300]!r}")
