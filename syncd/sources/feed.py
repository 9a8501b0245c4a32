"""From a watch's threads to the event loop. Used by `sources.folder` only; made on the loop that waits for it."""

import asyncio

from syncd.domain.routing import Selection, is_probe
from syncd.ports import Clock
from syncd.sources.pending import Pending, Waiting

MOST_PENDING = 100_000
GRACE = 0.02
"""Seconds, at least, from a change to the look: copy tools set a file's time right after closing it. Keys changed
within one such span become due together, so that a burst comes in batches."""


class Feed:
    """What a watch told and nobody has looked at yet (a `watching.Watcher`)."""

    def __init__(self, selection: Selection, clock: Clock) -> None:
        self.pending = Pending(limit=MOST_PENDING)
        self.has_ended = False
        self.at_limit = False
        self._selection = selection
        self._clock = clock
        self._loss = ""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()

    # ------------------------------------------------------------ called by the watch, from its threads

    def changed(self, key: str, *, finished: bool) -> None:
        """As `Watcher` says. What the selection refuses, or what can be no key, is not looked at."""
        due = (self._clock.now() // GRACE + 2) * GRACE
        wanted = self._selection.accepts(key) or is_probe(key)
        if wanted and _is_utf8(key) and self.pending.put(key, Waiting(due, finished)):
            self._tell()

    def lost(self, reason: str) -> None:
        """As `Watcher` says."""
        self._loss = reason
        self._tell()

    def ended(self) -> None:
        """As `Watcher` says."""
        self.has_ended = True
        self._tell()

    def limited(self) -> None:
        """As `Watcher` says."""
        self.at_limit = True
        self.ended()

    def _tell(self) -> None:
        self._loop.call_soon_threadsafe(self._wake.set)

    # ------------------------------------------------------------ called on the loop

    def take_loss(self) -> str:
        """Why changes were missed since the last call; empty when none were."""
        loss, self._loss = self._loss, ""
        return f"more than {MOST_PENDING} keys wait" if self.pending.overflowed() else loss

    async def wait(self, *, until: float) -> None:
        """Return when there is something to do, at the latest then (seconds of the clock)."""
        self._wake.clear()
        due = self.pending.next_due()
        seconds = (until if due is None else min(due, until)) - self._clock.now()
        if seconds > 0 and not (self.has_ended or self._loss):
            await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def _is_utf8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
