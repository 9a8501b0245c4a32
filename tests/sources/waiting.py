"""Waiting for a condition, with a deadline, for tests of things that run in other threads or processes."""

import asyncio
import time
from collections.abc import Callable


async def until(what: str, condition: Callable[[], object], *, within: float = 20.0) -> None:
    """Return as soon as the condition holds; fail, naming it, after so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within:g} s"
        await asyncio.sleep(0.005)
