"""A clock that only moves when told to, for tests of everything that waits."""

import asyncio


class FakeClock:
    """`now` starts at 1,000,000; `sleep` advances it at once and yields to the loop."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Unix seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time on."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Move time on and let others run."""
        self._now += seconds
        await asyncio.sleep(0)
