"""A process that commits batch after batch, to be killed, or to compete with another one.

usage: python -m tests.snapshots.committer ROOT_URL OPTIONS_JSON NAME FIRST LAST
Prints `ready`, waits for a line on stdin, then prints `BATCH VERSION` after each commit that returned; version 0:
its rows were in a version already.
"""

import asyncio
import json
import sys
from contextlib import suppress

from syncd.domain.errors import Retryable
from syncd.domain.model import StagedChange, VersionInfo
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import library
from tests.clock import FakeClock
from tests.snapshots.rows import gone, put

DATASET = "fruits"
TRIES = 3


def batch(name: str, number: int) -> list[StagedChange]:
    """Three rows of its own (one is deleted two batches later), one updated each time, one others insert too."""
    own = [put(f"{name}-{number}-{n}") for n in range(3)]
    leaving = [gone(f"{name}-{number - 2}-0")] if number >= 2 else []
    return [*own, put(f"{name}-state", task_id=str(number)), put(f"shared-{number}"), *leaving]


async def main(url: str, options: str, name: str, *numbers: str) -> None:
    """Commit the batches."""
    store = LanceSnapshots(url, clock=FakeClock(), storage_options=json.loads(options))
    library()  # so that the time to be killed is spent committing
    _say("ready")
    sys.stdin.readline()
    for number in range(*map(int, numbers)):
        made = await committed(store, batch(name, number))
        _say(f"{number} {made.number if made else 0}")


async def committed(store: LanceSnapshots, changes: list[StagedChange]) -> VersionInfo | None:
    """Once more when others were in the way for too long, as the state store does."""
    for _ in range(TRIES):
        with suppress(Retryable):
            return await store.commit(DATASET, changes, "h")
    return await store.commit(DATASET, changes, "h")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
