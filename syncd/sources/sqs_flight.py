"""Messages under way: what was received and not deleted yet, and lines that are emptied in batches.

Used by `sources.sqs_consumer` only, all on one loop.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from syncd.domain.notifications import Notices
from syncd.ports import Clock
from syncd.sources.sqs_queue import TEN, Message

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Held:
    """A message we have. `hidden_until`: unix seconds; None once it is no longer ours to hide."""

    message: Message
    notices: Notices
    hidden_until: float | None
    delivered: bool = False

    @property
    def receipt(self) -> str:
        """What it is deleted and hidden by."""
        return self.message.receipt


class Flight:
    """All that we have, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[str, Held] = {}
        self._reserved = 0
        self._freed = asyncio.Event()

    async def reserve(self) -> None:
        """Wait until there is room for what one receive may bring."""
        while len(self._held) + self._reserved + TEN > self._most:
            self._freed.clear()
            await self._freed.wait()
        self._reserved += TEN

    def land(self, held: Iterable[Held]) -> None:
        """What came, in the room reserved for it."""
        self._reserved -= TEN
        self._held.update((one.receipt, one) for one in held)
        self._freed.set()

    def drop(self, receipts: Iterable[str]) -> None:
        """These are no longer ours."""
        for receipt in receipts:
            self._held.pop(receipt, None)
        self._freed.set()

    def all(self) -> list[Held]:
        """Everything we have."""
        return list(self._held.values())

    def renew(self, receipt: str, until: float) -> None:
        """It is hidden until then."""
        if held := self._held.get(receipt):
            held.hidden_until = until

    def expose(self, receipts: Iterable[str]) -> None:
        """These can no longer be hidden: they were handed out again, or their twelve hours are over."""
        for receipt in receipts:
            if held := self._held.get(receipt):
                held.hidden_until = None


class Line(Generic[T]):
    """First come, first taken, several at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[T] = deque()
        self._wake = asyncio.Event()

    def put(self, things: Iterable[T]) -> None:
        """More for the next who takes."""
        self._waiting.extend(things)
        if self._waiting:
            self._wake.set()

    async def take(self, most: int, linger: float) -> list[T]:
        """At least one and at most so many; where fewer are there, more are waited for, `linger` seconds."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            if len(self._waiting) < most:
                await self._clock.sleep(linger)
            if taken := [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]:
                return taken


def tens(things: Sequence[T]) -> list[Sequence[T]]:
    """In pieces that one request takes."""
    return [things[start : start + TEN] for start in range(0, len(things), TEN)]
