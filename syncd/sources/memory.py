"""The reference event source: it delivers what it is told. For tests, and for whoever writes another source."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import islice

from syncd.domain.errors import Retryable
from syncd.domain.routing import Selection
from syncd.ports import Deliver, ObjectStore, Seen

BATCH = 1_000


class MemorySource:
    """Events from memory; an event not delivered yet stays in it."""

    def __init__(self, name: str, *stores: ObjectStore) -> None:
        self.name = name
        self.stores: Mapping[str, ObjectStore] = {store.bucket: store for store in stores}
        self.selection = Selection()
        self._waiting: list[Seen] = []
        self._lost = False
        self._wake = asyncio.Event()

    def emit(self, *seen: Seen) -> None:
        """Have these delivered. Those of other buckets are dropped."""
        self._waiting += [(ref, observation) for ref, observation in seen if ref.bucket in self.stores]
        self._wake.set()

    def lose(self) -> None:
        """Behave as if events had been lost."""
        self._lost = True
        self._wake.set()

    async def check(self) -> None:
        """Memory is always there."""

    async def run(self, deliver: Deliver, rescan: Callable[[], None]) -> None:
        """As the port says."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._lost:
                self._lost = False
                rescan()
            while self._waiting:
                await self._deliver_some(deliver)

    async def _deliver_some(self, deliver: Deliver) -> None:
        batch = list(islice(self._waiting, BATCH))
        try:
            await deliver(batch)
        except Retryable as error:
            await asyncio.sleep(error.retry_after or 0)
        else:
            del self._waiting[: len(batch)]
