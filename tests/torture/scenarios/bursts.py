"""`burst`: notifications of many objects within a minute, each told alone, while the daemon works on them."""

import asyncio
import time
from collections import Counter
from pathlib import Path

from tests.label_studio import free_port
from tests.torture.comparison import settled
from tests.torture.ground import Ground
from tests.torture.installation import Installation, Setup, installed
from tests.torture.options import Options
from tests.torture.outcome import UNANSWERED, Outcome
from tests.torture.sender import Sender, created

WITHIN_S = 60.0
AT_ONCE = 64
BATCH = 500
_WRITTEN_AT_ONCE = 32
_PATIENCE_S = 1_800.0


def run(ground: Ground, options: Options) -> Outcome:
    """`options.objects` of them; then compare."""
    setup = Setup(
        state=options.state,
        port=free_port(),
        every=3600,
        source='type = "http"',
        on_delete="keep",
        batch=BATCH,
    )
    with installed(ground, setup) as site:
        daemon = site.start()
        _wait_for_first_look(site)  # which would find the objects, too
        events = asyncio.run(_written(site, options.objects))
        sender, began = Sender(site, options.objects / WITHIN_S, AT_ONCE), time.monotonic()
        asyncio.run(sender.send(events))
        took = time.monotonic() - began
        found = settled(site, patience=_PATIENCE_S, every=10)
        worked = time.monotonic() - began
        peak = _peak(daemon.pid)
    faults = Counter({"events": len(events)})
    statuses = Counter({f"answered {status}": times for status, times in sender.statuses.items()})
    late = sorted(answer.answered - answer.sent for answer in sender.answers)
    notes = [
        f"sent in {took:.1f} s, worked off in {worked:.1f} s",
        f"answer p50 {late[len(late) // 2] * 1000:.1f} ms, p99 {late[len(late) * 99 // 100] * 1000:.1f} ms",
        f"RSS peak of the daemon {peak:.0f} MB",
    ]
    return Outcome("burst", faults, statuses, found, notes, shown=UNANSWERED)


def _wait_for_first_look(site: Installation) -> None:
    while "bucket.reconciled" not in site.log():
        time.sleep(0.2)


async def _written(site: Installation, number: int) -> list[dict[str, object]]:
    """The objects are in the bucket; an event for each."""
    slots = asyncio.Semaphore(_WRITTEN_AT_ONCE)

    async def put(key: str) -> None:
        async with slots:
            await site.bucket.put(key, key.encode())

    async with asyncio.TaskGroup() as writing:
        for n in range(number):
            writing.create_task(put(f"{n % 100:02}/{n}.jpg"))
    etags = await site.bucket.versions()
    return [created(key, etag=etag, size=len(key.encode()), sequencer=n) for n, (key, etag) in enumerate(etags.items())]


def _peak(pid: int) -> float:
    """The most memory that a process ever had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1024
