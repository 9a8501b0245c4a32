"""Rings through PostgreSQL's LISTEN and NOTIFY, so that a wait ends when another process made something due.

A wake-up and nothing more: who waits looks at the state every second anyway. So it does not matter that a ring may be
lost with its connection, nor that a pooler may not pass LISTEN on. Made by `opening`.
"""

import asyncio
import secrets
from contextlib import suppress
from typing import Any

import asyncpg

from syncd.domain.errors import SyncdError
from syncd.state.bell import Bell
from syncd.state.postgres import PostgresDatabase

_TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_CHANNEL = "syncd_due"
_TOGETHER_S = 0.02  # rings of so long are one NOTIFY
_RETRY_S = 5.0  # between two tries to listen
_LAST_WORD_S = 1.0  # for what was rung just before the end


class PostgresBell(Bell):
    """Listens from the first `ticket` on, and tells others of rings. `listening`: set while it hears others."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__()
        self._database = database
        self.listening = asyncio.Event()
        self._closed = False
        self._ours = secrets.token_hex(8)
        self._listening: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    def ticket(self) -> asyncio.Event:
        """See `Bell.ticket`."""
        if self._listening is None and not self._closed:
            self._listening = asyncio.create_task(self._listen(), name="state-listener")
        return super().ticket()

    def ring(self) -> None:
        """See `Bell.ring`; other processes hear of it a little later."""
        super().ring()
        if not self._closed and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(), name="state-notifier")

    async def close(self) -> None:
        """See `Bell.close`. What was rung last is told still, where that is quick."""
        self._closed = True
        if self._telling:
            await asyncio.wait([self._telling], timeout=_LAST_WORD_S)
        jobs = [job for job in (self._telling, self._listening) if job]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _tell(self) -> None:
        await asyncio.sleep(_TOGETHER_S)
        with suppress(SyncdError):
            await self._database.notify(_CHANNEL, self._ours)

    async def _listen(self) -> None:
        while True:
            with suppress(SyncdError, OSError, *_TROUBLE):
                await self._listen_once()
            await asyncio.sleep(_RETRY_S)

    async def _listen_once(self) -> None:
        """Until the connection ends."""
        connection, ended = await self._database.own_connection(), asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            await connection.add_listener(_CHANNEL, self._heard)
            self.listening.set()
            await ended.wait()
        finally:
            self.listening.clear()
            connection.terminate()

    def _heard(self, _: Any, __: int, ___: str, sender: str) -> None:
        if sender != self._ours:
            super().ring()
