"""The system's clock, as the `Clock` port wants it."""

import asyncio
import time


class SystemClock:
    """The wall clock at start plus monotonic time: a jump of the wall clock moves no due time in this process."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Unix seconds."""
        return self._offset + time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)
