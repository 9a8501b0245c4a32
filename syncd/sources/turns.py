"""Turns: however much one sender sends at once, the others are answered meanwhile. Used by the receiver.

Each route has a lane of its own, in which so many bytes of bodies are worked on at once, or one larger body alone; what
comes beyond that waits in its order, and is to come again where it would wait for too long. So a lane full of large
bodies delays another lane's small one by about one body, and bodies that wait are bounded by the room for them.
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field

from syncd.domain.errors import Retryable

_AT_ONCE = 256 * 1024
"""Bytes of one lane: hundreds of small notifications, which share a commit."""
_PATIENCE_S = 10.0


@dataclass(slots=True)
class _Lane:
    under_way: int = 0
    waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    def has_room(self, size: int) -> bool:
        return not self.under_way or self.under_way + size <= _AT_ONCE


class Turns:
    """The lanes of all routes."""

    def __init__(self) -> None:
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)

    def of(self, route: str, size: int) -> "_Turn":
        """A turn to work on a body of so many bytes. Retryable, when it is entered: too many wait before it."""
        return _Turn(self._lanes[route], size)


class _Turn:
    """One turn. A class, and no generator: every request takes one."""

    __slots__ = ("_lane", "_size")

    def __init__(self, lane: _Lane, size: int) -> None:
        self._lane, self._size = lane, size

    async def __aenter__(self) -> None:
        if self._lane.waiting or not self._lane.has_room(self._size):
            await _wait(self._lane, self._size)
        else:
            self._lane.under_way += self._size

    async def __aexit__(self, *_: object) -> None:
        _leave(self._lane, self._size)


async def _wait(lane: _Lane, size: int) -> None:
    turn = asyncio.get_running_loop().create_future()
    lane.waiting.append((size, turn))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await turn
    except (TimeoutError, asyncio.CancelledError) as end:
        if turn.done() and not turn.cancelled():  # it was given, and is not taken
            _leave(lane, size)
        if isinstance(end, asyncio.CancelledError):
            raise
        raise Retryable("more comes from one sender than can be stored in time") from None


def _leave(lane: _Lane, size: int) -> None:
    lane.under_way -= size
    while lane.waiting and (lane.waiting[0][1].done() or lane.has_room(lane.waiting[0][0])):
        size, turn = lane.waiting.popleft()
        if not turn.done():  # who left before his turn has none
            lane.under_way += size
            turn.set_result(None)
