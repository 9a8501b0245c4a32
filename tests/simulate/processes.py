"""One process of several: the product's workers and looks, on ports whose every call waits for the simulation.

A process dies by `kill`: what it did outside stays done, what it had in memory is gone, its claims run out.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

from syncd.domain.errors import Retryable, SyncdError
from tests.simulate.scheduler import RESTS, Scheduler
from tests.simulate.world import SimulatedWorld

WRITES = frozenset(
    {
        "mark",
        "claim",
        "settle",
        "renew",
        "put",
        "intend",
        "fulfil",
        "amend",
        "abandon",
        "given",
        "stage",
        "commit",
        "committed",
    }
    | {"ensure_dataset", "import_tasks", "retire", "restore", "give", "announce", "attempted", "deliver"}
)
"""Calls that change something, and so may have done it when their answer is lost."""
SLOW = frozenset({"import_tasks"})
"""Calls that the other side may still do when nobody waits for them any more."""


class Gated:
    """A port whose every call waits to be let go on, once before it is done and once after it if it writes."""

    def __init__(self, inner: Any, process: str, scheduler: Scheduler) -> None:
        self._inner, self._process, self._scheduler = inner, process, scheduler

    def __getattr__(self, name: str) -> Any:
        there = getattr(self._inner, name)
        if isasyncgenfunction(there):
            return partial(self._pages, name, there)
        return partial(self._call, name, there) if iscoroutinefunction(there) else there

    async def _call(self, name: str, there: Callable[..., Any], *args: Any, **options: Any) -> Any:
        effect = partial(there, *args, **options)
        return await self._scheduler.call(self._process, name, effect, writes=name in WRITES, slow=name in SLOW)

    async def _pages(self, name: str, there: Callable[..., Any], *args: Any, **options: Any) -> AsyncIterator[Any]:
        async for page in there(*args, **options):
            await self._scheduler.call(self._process, f"{name} a page", _nothing, writes=False)
            yield page


async def _nothing() -> None:
    """Pages are read from what is there when they are asked for."""


class GatedAnnotator(Gated):
    """Its datasets are gated too."""

    async def ensure_dataset(self, spec: Any) -> Any:
        """As the port says."""
        return await self._open("ensure_dataset", spec)

    async def find_dataset(self, title: str) -> Any:
        """As the port says."""
        return await self._open("find_dataset", title)

    async def _open(self, name: str, argument: Any) -> Any:
        dataset = await self._call(name, getattr(self._inner, name), argument)
        return dataset and Gated(dataset, self._process, self._scheduler)


class Process:
    """One life of one process: its workers, and at times a look at everything."""

    def __init__(self, name: str, world: SimulatedWorld, scheduler: Scheduler) -> None:
        self.name, self._scheduler = name, scheduler
        self._world: Any = copy.copy(world)
        for port in ("state", "snapshots", "store", "target"):
            setattr(self._world, port, Gated(getattr(world, port), name, scheduler))
        annotator = GatedAnnotator(world.annotator, name, scheduler)
        self._world.dataset = replace(
            world.dataset, state=self._world.state, annotator=annotator, _remote=None, _opening=asyncio.Lock()
        )
        self._world.connect()
        self._world.opened()
        self._workers = self._world.workers()
        self._works = asyncio.create_task(self._work())
        self._looks: asyncio.Task[None] | None = None

    async def _work(self) -> None:
        while True:
            await self._scheduler.park(self.name, RESTS)
            with suppress(Retryable):  # trouble with the state, which the daemon waits out
                while await self._workers.start_one():
                    pass
            await self._workers.finish()

    def look(self) -> None:
        """Start to look for what was missed, unless that is under way."""
        if self._looks is None or self._looks.done():
            self._raise_bug(self._looks)
            self._looks = asyncio.create_task(self._look())

    async def _look(self) -> None:
        with suppress(SyncdError):  # tried again at the next look
            await self._world.look()

    async def kill(self) -> None:
        """End as `kill -9` does. A request that was sent may still be done by the other side."""
        tasks = [self._works, *self._workers._running, *filter(None, [self._looks])]
        while any(not task.done() for task in tasks):
            for task in tasks:
                task.cancel()  # again and again: what a job would do at its end is not done
            await self._scheduler.settle()

    def check(self) -> None:
        """Raise the bug that ended a job of it, if any did."""
        self._raise_bug(self._works)
        self._raise_bug(self._looks)

    def _raise_bug(self, task: "asyncio.Task[None] | None") -> None:
        if task and task.done() and not task.cancelled() and (bug := task.exception()):
            raise bug
