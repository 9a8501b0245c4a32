"""Turns: however much one sender sends at once, the others are answered meanwhile. Used by the receiver.

Of each route so many bytes of bodies are worked on at once, or one larger body alone; what comes beyond that waits in
its order, and is to come again where it would wait for too long. So a route full of large bodies delays another one's
small body by about one of them, and bodies that wait are bounded by the room for them.
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field

from syncd.domain.errors import Retryable

_AT_ONCE = 256 * 1024
"""Bytes of one route: hundreds of small notifications, which share a commit."""
_PATIENCE_S = 10.0


@dataclass(slots=True)
class _Route:
    under_way: int = 0
    waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    def has_room(self, size: int) -> bool:
        return not self.under_way or self.under_way + size <= _AT_ONCE


class Turns:
    """Those of all routes."""

    def __init__(self) -> None:
        self._routes: defaultdict[str, _Route] = defaultdict(_Route)

    async def of(self, route: str, size: int) -> "_Turn":
        """A turn to work on a body of so many bytes, until its context ends. Retryable: too many wait before it."""
        there = self._routes[route]
        if there.waiting or not there.has_room(size):
            await _wait(there, size)
        else:
            there.under_way += size
        return _Turn(there, size)


class _Turn:
    """One turn, which is entered at once. No generator: every request takes one."""

    __slots__ = ("_route", "_size")

    def __init__(self, route: _Route, size: int) -> None:
        self._route, self._size = route, size

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        _leave(self._route, self._size)


async def _wait(route: _Route, size: int) -> None:
    turn = asyncio.get_running_loop().create_future()
    route.waiting.append((size, turn))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await turn
    except (TimeoutError, asyncio.CancelledError) as end:
        if turn.done() and not turn.cancelled():  # it was given, and is not taken
            _leave(route, size)
        if isinstance(end, asyncio.CancelledError):
            raise
        raise Retryable("more comes from one sender than can be stored in time") from None


def _leave(route: _Route, size: int) -> None:
    route.under_way -= size
    while route.waiting and (route.waiting[0][1].done() or route.has_room(route.waiting[0][0])):
        size, turn = route.waiting.popleft()
        if not turn.done():  # who left before his turn has none
            route.under_way += size
            turn.set_result(None)
