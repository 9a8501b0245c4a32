"""Who goes next: calls wait until the simulation lets them go on, and time stands still until it is moved.

Used by `processes` (which parks its calls here) and `simulation` (which chooses among them).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from syncd.domain.errors import Retryable
from tests.clock import FakeClock

RESTS = "rests"
"""What a process waits at when it has nothing in hand."""


DONE = " is done"
"""What is added to a call's name where its effect is there, and its answer is not yet."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers run on a clock that is moved by hand; so leases are renewed as in real life."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        super().__init__()

    def time(self) -> float:
        """Seconds of the clock."""
        return self.clock.now()

    def run_in_executor(self, _: Any, work: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """What would be done in a thread is done here: threads come back when they like."""
        future = self.create_future()
        try:
            future.set_result(work(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future


@dataclass(eq=False)
class Parked:
    """A call that waits. `late`: what the other side may still do for it when nobody waits for the answer any more."""

    process: str
    call: str
    writes: bool
    future: asyncio.Future[str]
    late: Callable[[], Awaitable[Any]] | None = None

    @property
    def rests(self) -> bool:
        """Whether nothing is under way here."""
        return self.call == RESTS


@dataclass
class Scheduler:
    """All calls that wait, what still happens late, and the trace of what was let happen."""

    clock: FakeClock
    parked: list[Parked] = field(default_factory=list)
    late: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, who: str, what: str) -> None:
        """A line of the trace, with the time."""
        self.trace.append(f"{self.clock.now() - 1_000_000:10.2f}  {who:<9} {what}")

    def count(self, call: str, verdict: str) -> None:
        """A call went on so, or its process died there."""
        self.counts[f"{call}: {verdict}"] += 1

    async def park(
        self, process: str, call: str, *, writes: bool = False, late: Callable[[], Awaitable[Any]] | None = None
    ) -> str:
        """Wait to be let go on; returns how: go, refused, reset, lost or late."""
        waiting = Parked(process, call, writes, asyncio.get_running_loop().create_future(), late)
        self.parked.append(waiting)
        try:
            return await waiting.future
        finally:
            with suppress(ValueError):  # its process died, and it with it
                self.parked.remove(waiting)

    async def let(self, waiting: Parked, verdict: str) -> None:
        """Let one go on, until everything waits again."""
        self.parked.remove(waiting)
        self.count(waiting.call, verdict)
        self.note(waiting.process, waiting.call if verdict == "go" else f"{waiting.call}: {verdict}")
        waiting.future.set_result(verdict)
        await self.settle()

    async def settle(self) -> None:
        """Return when nothing can happen any more by itself."""
        loop = cast("Any", asyncio.get_running_loop())
        await asyncio.sleep(0)
        while loop._ready:
            await asyncio.sleep(0)

    async def finish_late(self) -> None:
        """The other side gets round to all that we gave up waiting for."""
        while self.late:
            await self.finish_one_late(0)

    async def finish_one_late(self, index: int) -> None:
        """It gets round to one of them."""
        self.note("annotator", "does what was asked for earlier")
        await self.late.pop(index)()

    async def call(
        self, process: str, name: str, effect: Callable[[], Awaitable[Any]], *, writes: bool, slow: bool = False
    ) -> Any:
        """A call to the world outside, as the simulation wants it. `slow`: it may be done after all, later."""
        verdict = await self.park(process, name, writes=writes, late=effect if slow else None)
        if verdict == "late":
            self.late.append(effect)
        if verdict != "go":
            raise Retryable(f"{name}: {verdict}", effect_possible=verdict != "refused")
        result = await effect()
        if writes and await self.park(process, f"{name}{DONE}", writes=True) != "go":
            raise Retryable(f"{name}: the answer was lost")
        return result
