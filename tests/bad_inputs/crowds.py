"""What good senders notice of a crowd: how long their answers take beside it, and without it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import quantiles

import aiohttp

from tests.bad_inputs.running import SECRETS, Running, from_app

FULL = bool(os.environ.get("SYNCD_TORTURE"))
"""With the daemon's own limits and numbers; else smaller ones, which take seconds."""
FLOOR_S = 0.05
"""What else runs on the machine may take so long, whatever the daemon does."""
Crowd = Callable[[asyncio.Event], Awaitable[None]]
"""Goes on until the event is set."""


async def timed(daemon: Running, asks: int = 100) -> list[float]:
    """How long each answer to a good sender takes, seconds."""
    took: list[float] = []
    headers = {"Authorization": f"Bearer {SECRETS['APP_TOKEN']}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for n in range(asks):
            started = time.perf_counter()
            async with session.post(f"http://127.0.0.1:{daemon.port}/events/app", data=from_app(f"{n}")) as answer:
                assert answer.status == 204
            took.append(time.perf_counter() - started)
    return took


def p99(took: list[float]) -> float:
    """Seconds."""
    return quantiles(took, n=100)[98]


@asynccontextmanager
async def meanwhile(crowd: Crowd) -> AsyncIterator[None]:
    """The crowd does what it does until the context ends, of which its event tells."""
    over = asyncio.Event()
    task = asyncio.ensure_future(crowd(over))
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        over.set()
        await task


async def is_no_slower(daemon: Running, crowd: Crowd, *, most: float = 2.0) -> None:
    """Fails where a good sender's p99 is more than so many times as long among the crowd as before and after it."""
    alone = await timed(daemon)
    async with meanwhile(crowd):
        among = await timed(daemon)
    alone += await timed(daemon)
    said = f"p99 {p99(among) * 1000:.1f} ms among them, {p99(alone) * 1000:.1f} ms alone"
    assert p99(among) <= most * p99(alone) + FLOOR_S, said
