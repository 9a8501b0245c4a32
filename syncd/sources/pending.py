"""Keys that something happened to, and when each is to be looked at. Used by `sources.folder` only.

Filled from a watcher's thread, emptied on the event loop. A key stands in it once, however often it is touched;
beyond `limit` keys nothing more is taken in, and `overflowed` says so.
"""

import heapq
import threading
from dataclasses import dataclass


@dataclass(slots=True)
class Waiting:
    """Why a key waits. `finished`: its writer is done with it; else it is when two looks in a row agree.

    `etag` is what the look before found, `due` when the next one is.
    """

    due: float
    finished: bool
    etag: str | None = None


class Pending:
    """Keys by due time (seconds, any one clock)."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[str, Waiting] = {}
        self._queue: list[tuple[float, str]] = []
        self._lock = threading.Lock()
        self._overflowed = False

    def put(self, key: str, waiting: Waiting) -> bool:
        """Take a key in; returns whether it is now the next one due.

        One that waits already keeps its place, unless it is finished now and due earlier.
        """
        with self._lock:
            known = self._waiting.get(key)
            if known is None and len(self._waiting) >= self._limit:
                self._overflowed = True
                return False
            if known is not None and not (waiting.finished and waiting.due < known.due):
                known.finished |= waiting.finished
                return False
            self._waiting[key] = waiting
            heapq.heappush(self._queue, (waiting.due, key))
            return self._queue[0] == (waiting.due, key)

    def take(self, now: float, *, limit: int) -> dict[str, Waiting]:
        """Take out up to `limit` keys that are due."""
        taken: dict[str, Waiting] = {}
        with self._lock:
            while self._queue and self._queue[0][0] <= now and len(taken) < limit:
                due, key = heapq.heappop(self._queue)
                if key in self._waiting and self._waiting[key].due == due:  # else it was put anew, to an earlier time
                    taken[key] = self._waiting.pop(key)
        return taken

    def next_due(self) -> float | None:
        """When the next key is due; None when none waits."""
        with self._lock:
            return self._queue[0][0] if self._queue else None

    def overflowed(self) -> bool:
        """Whether keys were turned away since the last call."""
        with self._lock:
            overflowed, self._overflowed = self._overflowed, False
            return overflowed
