"""What the state bench measures, in a process of its own: `python -m tests.bench.state_runs PLACE BATCH`.

It says "ready", waits for a line, claims and settles until nothing is left, and prints how many it did, its CPU
seconds, and when it was done, by the clock that all processes share.
"""

import asyncio
import sys
import time

from syncd.domain.model import Outcome, Settlement
from syncd.runtime.clock import SystemClock
from syncd.runtime.garbage import settle as settle_garbage
from syncd.state import open_state


async def replica(place: str, batch: int) -> None:
    """One replica's whole work."""
    state = await open_state(place, SystemClock())
    await state.backlog()
    settle_garbage()  # as the daemon does
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    start, done = time.process_time(), 0
    while claims := await state.claim(limit=batch, lease=60):
        await state.settle([Settlement(claim, Outcome.DONE) for claim in claims])
        done += len(claims)
    sys.stdout.write(f"{done} {time.process_time() - start} {time.monotonic()}\n")
    await state.close()


if __name__ == "__main__":
    asyncio.run(replica(sys.argv[1], int(sys.argv[2])))
