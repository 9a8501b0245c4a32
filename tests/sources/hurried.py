"""A clock for tests that wait for leases: it tells the real time, and sleeps a fraction of what it is asked to."""

import asyncio
import time


class HurriedClock:
    """Sleeps `speed` times shorter."""

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """As the port says, hurriedly."""
        await asyncio.sleep(seconds / self._speed)
