"""What sources deliver to, in tests, and the buckets they speak of."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from syncd.domain.errors import Retryable
from syncd.domain.model import ObjectRef, Observation
from syncd.domain.notifications import BadEvent
from syncd.ports import EventSource, Seen
from syncd.stores import Stores
from syncd.stores.memory import MemoryStore
from tests.clock import FakeClock


class Taker:
    """Takes what is delivered: after `refusals` refusals, and each time after `slow` seconds."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.bad: list[BadEvent] = []
        self.refusals = 0
        self.slow = 0.0
        self.rescans = 0
        self.calls = 0

    async def deliver(self, seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        self.calls += 1
        await asyncio.sleep(self.slow)
        if self.refusals:
            self.refusals -= 1
            raise Retryable("the state store is busy", retry_after=0.01)
        self.seen += seen
        self.bad += bad

    def rescan(self) -> None:
        self.rescans += 1

    @property
    def keys(self) -> list[str]:
        return [ref.key for ref, _ in self.seen]

    def latest(self) -> dict[ObjectRef, Observation]:
        return dict(self.seen)


def buckets(**urls: str) -> Stores:
    """The stores of buckets by name, in memory."""
    return Stores({name: MemoryStore(url, FakeClock()) for name, url in urls.items()}, FakeClock())


@asynccontextmanager
async def running(source: EventSource, taker: Taker) -> AsyncIterator[asyncio.Task[None]]:
    """The source at work until the context ends; what it raises comes through."""
    job = asyncio.create_task(source.run(taker.deliver, taker.rescan))
    try:
        yield job
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job
