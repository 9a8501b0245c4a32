"""Messages of a queue per second, beside a bare loop of aiobotocore that receives and deletes.

Called by `tests.bench.sources`. Both read the same messages from an emulator (ministack) with as many pollers, in
turns; medians are compared. Ours ends when all is delivered and deleted.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from syncd.domain.notifications import BadEvent
from syncd.ports import Seen
from tests.aws_emulators import KEY, REGION, Emulator, emulator
from tests.bench.goals import Goal
from tests.sources.sqs_world import Cloud, opened, record, source

_POLLERS = 4


@dataclass(frozen=True)
class Cost:
    """What reading all messages took: seconds, and seconds of this process's CPU."""

    seconds: float
    cpu: float


class Watch:
    """Runs from when a reader is connected until all is deleted."""

    def start(self) -> None:
        """Now."""
        self._seconds, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """All is deleted."""
        self.cost = Cost(time.perf_counter() - self._seconds, time.process_time() - self._cpu)


Reader = Callable[[Cloud, str, int, Watch], Awaitable[None]]


def goals(messages: int, rounds: int) -> Iterator[Goal]:
    """Measure. Seconds of each round by themselves, medians in the goal."""
    folder = tempfile.TemporaryDirectory(prefix="syncd-bench-")
    with folder as home, emulator("ministack", Path(home)) as server, patch.dict(os.environ, server.variables):
        measured = asyncio.run(_measured(server, messages, rounds))
    ours, bare = (_median(costs) for costs in zip(*measured, strict=True))
    beside = (
        f"{messages / ours.seconds:,.0f}/s beside {messages / bare.seconds:,.0f}/s of a bare loop, {_POLLERS} pollers"
    )
    yield Goal("SQS: messages per second of a bare loop's", bare.seconds / ours.seconds, "", 0.7, True, beside)
    each = 1e6 / messages
    beside = f"{ours.cpu * each:.0f} µs a message beside {bare.cpu * each:.0f} µs"
    yield Goal("SQS: CPU of a bare loop's", ours.cpu / bare.cpu, "", detail=beside)


async def _measured(server: Emulator, messages: int, rounds: int) -> list[tuple[Cost, Cost]]:
    """Ours and the bare loop's, each round; the first one only warms up."""
    async with opened(server) as cloud:
        await _turn(cloud, min(messages, 500))
        return [await _turn(cloud, messages) for _ in range(rounds)]


async def _turn(cloud: Cloud, messages: int) -> tuple[Cost, Cost]:
    return await _timed(_ours, cloud, messages), await _timed(_bare, cloud, messages)


async def _timed(read: Reader, cloud: Cloud, messages: int) -> Cost:
    """On a queue of its own: the emulator still answers receives that were cancelled, and hides what it hands out."""
    queue = await cloud.queue()
    await cloud.send(queue, *(record("photos", f"in/{n}.jpg", order=n) for n in range(messages)))
    watch = Watch()
    await read(cloud, queue, messages, watch)
    return watch.cost


async def _ours(cloud: Cloud, queue: str, messages: int, watch: Watch) -> None:
    read = source(queue, "photos", endpoint=cloud.server.endpoint, pollers=_POLLERS, wait=20)
    left, all_here = messages, asyncio.Event()

    async def deliver(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
        nonlocal left
        left -= len(seen)
        if not left:
            all_here.set()

    job = asyncio.create_task(read.run(deliver, watch.start))
    await all_here.wait()
    while not await cloud.is_empty(queue):
        await asyncio.sleep(0.01)
    watch.stop()
    job.cancel()
    with suppress(asyncio.CancelledError):
        await job


async def _bare(cloud: Cloud, queue: str, messages: int, watch: Watch) -> None:
    where = {"region_name": REGION, "endpoint_url": cloud.server.endpoint}
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}
    left, all_gone = messages, asyncio.Event()

    async def loop(sqs: Any) -> None:
        nonlocal left
        while True:
            answer = await sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            found = answer.get("Messages", ())
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(found)]
            if entries:
                await sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
            left -= len(entries)
            if not left:
                all_gone.set()

    async with AioSession().create_client("sqs", config=AioConfig(max_pool_connections=20), **where, **keys) as sqs:
        watch.start()
        jobs = [asyncio.create_task(loop(sqs)) for _ in range(_POLLERS)]
        await all_gone.wait()
        watch.stop()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(cost.seconds for cost in costs), statistics.median(cost.cpu for cost in costs))
