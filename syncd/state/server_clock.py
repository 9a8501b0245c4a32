"""Whose clock counts for due times and leases when several hosts share a state: that of the database server.

A host whose own clock is wrong must neither take claims that others hold nor keep dead ones for ever. So the server's
time is asked for when the state is opened and every half minute of use, and the host's clock only tells how much has
passed since. Used by `postgres`.
"""

from typing import Any

from syncd.ports import Clock

_ASK_AFTER = 30.0  # seconds
_ALIKE = 0.5  # seconds; a smaller difference may be the network's, and time must not run backwards for that
_TIME = "SELECT extract(epoch FROM clock_timestamp())::float8"


class ServerClock:
    """A `Clock`. `now` is right to about half a second, and steps back only where the server's clock was set back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = 0.0
        self._asked: float | None = None

    def now(self) -> float:
        """Unix seconds, of the server."""
        return self._clock.now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await self._clock.sleep(seconds)

    def is_stale(self) -> bool:
        """Whether the server should be asked again."""
        return self._asked is None or self._clock.now() - self._asked > _ASK_AFTER

    async def set_by(self, server: Any) -> None:
        """Ask a server, over a connection of asyncpg."""
        before = self._clock.now()
        told: float = await server.fetchval(_TIME)
        self._asked = self._clock.now()
        ahead = told - (before + self._asked) / 2
        if abs(ahead - self._ahead) > _ALIKE:
            self._ahead = ahead


class VirtualClock(ServerClock):
    """A clock that counts as it is: that of a test, which no server knows."""

    async def set_by(self, server: Any) -> None:
        """Nothing is asked."""
        self._asked = self._clock.now()
