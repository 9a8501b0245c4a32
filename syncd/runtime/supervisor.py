"""Supervision: named jobs under one owner, their common end, and word to systemd.

Used by `service`. A job that ends on its own, by a bug or otherwise, ends all: a process supervisor starts the
daemon again, and that is safe. First signal: stop taking, drain, grace, cancel. Second signal: cancel now.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """A named coroutine that runs until stopped. One that `drains` ends by itself soon after `stop` is set."""

    name: str
    run: Callable[[], Awaitable[None]]
    drains: bool = False


class Stop:
    """What the signals set: `drain` on the first, `cut` on the second."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.cut = asyncio.Event()

    def request(self) -> None:
        """One more signal."""
        (self.cut if self.drain.is_set() else self.drain).set()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT request a stop while the context lasts."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.request)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def supervise(jobs: Sequence[Job], stop: Stop, *, grace: float) -> None:
    """Run the jobs until a stop is requested or one of them ends; raises what that one raised.

    `grace` in seconds is what draining jobs get to finish what is under way.
    """
    tasks = {asyncio.create_task(_run(job), name=job.name): job for job in jobs}
    drain = asyncio.create_task(stop.drain.wait(), name="stop")
    try:
        await asyncio.wait({*tasks, drain}, return_when=asyncio.FIRST_COMPLETED)
        stop.drain.set()
        notify("STOPPING=1")
        await _cancel(task for task, job in tasks.items() if not job.drains)
        await _drain([task for task, job in tasks.items() if job.drains], stop, grace)
    finally:
        await _cancel([*tasks, drain])
    for task in tasks:
        if not task.cancelled():
            task.result()


async def _run(job: Job) -> None:
    await job.run()
    log.debug("job.ended", job=job.name)


async def _drain(tasks: list[asyncio.Task[None]], stop: Stop, grace: float) -> None:
    cut = asyncio.create_task(stop.cut.wait(), name="cut")
    everything = asyncio.create_task(_all(tasks), name="drain")
    await asyncio.wait({cut, everything}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    if late := [task.get_name() for task in tasks if not task.done()]:
        log.warning("drain.cut_short", jobs=late)
    await _cancel([cut, everything])


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


# ---------------------------------------------------------------- systemd


def notify(message: str) -> None:
    """Tell the service manager (sd_notify(3)); nothing happens where there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(message.encode(), address)


def watchdog_interval() -> float | None:
    """How often (s) to send WATCHDOG=1: half of what the service manager waits; None where it does not."""
    micros = os.environ.get("WATCHDOG_USEC", "")
    return int(micros) / 2_000_000 if micros.isdigit() else None
