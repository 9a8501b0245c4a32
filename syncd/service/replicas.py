"""Several daemons on one state: who this one is, who else is there, and whose turn it is.

Used by the assembly, the daemon's jobs and commands. On a state file there is one daemon, and nothing of this costs
anything; on a database server every turn is a lease in it. Leases save work and are no fence: who is paused within its
turn, longer than its lease, may find another at it when it goes on, so what is done in a turn can be done twice.
"""

import asyncio
import os
import secrets
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog

from syncd.config import is_server
from syncd.domain.errors import SyncdError
from syncd.ports import Clock, StateStore
from syncd.state import holder_of

log = structlog.get_logger()

PRESENT_S = 20.0
"""For how long a daemon that said nothing more is still believed to be there."""
ASK_EVERY_S = 0.2
_DAEMON = "daemon:"


def own_name() -> str:
    """`HOST:PID:` and four digits that tell processes of containers apart, whose host and pid may be the same."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"


@dataclass
class Replica:
    """This daemon, among those that share its state. `alone`: there are no others, for it is a file.

    `lease`: seconds for which a turn is another's who said nothing more.
    """

    state: StateStore
    clock: Clock
    lease: float
    alone: bool
    name: str = field(default_factory=own_name)
    _here: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    # ------------------------------------------------------------ who is there

    async def present(self) -> None:
        """Say that this daemon is there; again and again, within `PRESENT_S`."""
        if not self.alone:
            await self.state.hold(_DAEMON + self.name, holder=self.name, seconds=PRESENT_S)

    async def others(self) -> list[str]:
        """The other daemons on this state, by their names."""
        there = {} if self.alone else await self.state.holders(_DAEMON)
        return [name for name in there.values() if name != self.name]

    async def leave(self) -> None:
        """Say that it is not there any more."""
        if not self.alone:
            with suppress(SyncdError):  # it is forgotten soon, anyway
                await self.state.release(_DAEMON + self.name, holder=self.name)

    # ------------------------------------------------------------ turns

    @asynccontextmanager
    async def turn(self, what: str) -> AsyncIterator[bool]:
        """Whether it is ours to do this now, and nobody else's until the context ends."""
        name = f"turn:{what}"
        if self.alone:
            yield True
        elif not await self.state.hold(name, holder=self.name, seconds=self.lease):
            yield False
        else:
            renewing = asyncio.create_task(self._renew(name))
            try:
                yield True
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                with suppress(SyncdError):  # it runs out
                    await self.state.release(name, holder=self.name)

    @asynccontextmanager
    async def by_itself(self, what: str) -> AsyncIterator[None]:
        """Wait for the turn, and have it until the context ends."""
        async with self._here[what]:
            while True:
                async with self.turn(what) as ours:
                    if ours:
                        yield
                        return
                await self.clock.sleep(ASK_EVERY_S)

    async def _renew(self, name: str) -> None:
        while True:
            await asyncio.sleep(self.lease / 3)
            try:
                await self.state.hold(name, holder=self.name, seconds=self.lease)
            except SyncdError as error:
                log.warning("turn.not_renewed", turn=name, error=str(error))

    # ------------------------------------------------------------ what is done once in a while, by any of them

    async def due_in(self, what: str, every: float) -> float:
        """Seconds until this is due, which any of them did last; 0 or less: now."""
        if self.alone:
            return 0.0
        last = await self.state.get(f"done:{what}")
        left = float(last) + every - self.clock.now() if last else 0.0
        return min(left, every)  # a clock may have been set back

    async def done(self, what: str) -> None:
        """This was done now."""
        if not self.alone:
            await self.state.put(f"done:{what}", repr(self.clock.now()))


async def daemons_of(state: StateStore, url: str) -> list[str]:
    """The daemons that work on a state now, by names for people; those on other hosts too."""
    if is_server(url):
        return list((await state.holders(_DAEMON)).values())
    pid = holder_of(url)
    return [] if pid is None else [f"process {pid}"]
