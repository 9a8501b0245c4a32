"""A process that compacts and collects garbage all the time, while others commit.

usage: python -m tests.snapshots.keeper ROOT_URL OPTIONS_JSON
Prints `ready`, waits for a line on stdin, works until stdin ends, then prints `COMPACTIONS COLLECTED`.
"""

import asyncio
import json
import sys

from syncd.ports import Retention
from syncd.snapshots.compaction import compact
from syncd.snapshots.location import open_root
from syncd.snapshots.store import LanceSnapshots
from syncd.snapshots.table import Table, library
from tests.clock import FakeClock
from tests.snapshots.committer import DATASET

KEEP = Retention(versions=8, age=0)
SPARE_S = 2.0  # longer than a commit takes, as the real one is


async def main(url: str, options: str) -> None:
    """Upkeep without a pause."""
    root = open_root(url, json.loads(options))
    store = LanceSnapshots(url, clock=FakeClock(), storage_options=json.loads(options), spare=SPARE_S)
    library()
    _say("ready")
    sys.stdin.readline()
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    compactions = collected = 0
    while not ended.done():
        table = await asyncio.to_thread(Table.open, root, DATASET)
        compactions += bool(table and await asyncio.to_thread(compact, root, table, many=3))
        collected += len((await store.collect_garbage(DATASET, KEEP)).versions)
    _say(f"{compactions} {collected}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
