"""How a wait for due subjects ends early: whoever made something due rings. Used by both state stores."""

import asyncio

from syncd.ports import Clock


class Bell:
    """Wakes all who wait on it. A ring reaches those who took their `ticket` before it."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._taken = False

    def ring(self) -> None:
        """Wake everybody who waits now."""
        if self._taken:  # else nobody can be waiting
            self._rung.set()
            self._rung, self._taken = asyncio.Event(), False

    def ticket(self) -> asyncio.Event:
        """Take this before looking at the state, so that no ring between the look and the wait is missed."""
        self._taken = True
        return self._rung

    async def close(self) -> None:
        """Ring no more. Idempotent."""


async def wait_for(ticket: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Return at the next ring, or after so many seconds of the clock."""
    if seconds <= 0 or ticket.is_set():
        return
    jobs = [asyncio.ensure_future(ticket.wait()), asyncio.ensure_future(clock.sleep(seconds))]
    try:
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
