"""A process that watches a folder; prints `rescan` when one is asked for, and the keys below `made unseen`."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from syncd.domain.notifications import BadEvent
from syncd.ports import Seen
from syncd.runtime.clock import SystemClock
from syncd.sources.folder import FolderOptions, FolderSource
from syncd.stores import Stores


async def take(seen: Sequence[Seen], bad: Sequence[BadEvent] = ()) -> None:
    """Print what the test waits for."""
    for ref, _ in seen:
        if ref.key.startswith("made unseen"):
            say(ref.key)


def say(line: str) -> None:
    """To whoever started this process."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    options = FolderOptions(path=Path(sys.argv[1]))
    clock = SystemClock()
    source = FolderSource("photos", options, stores=Stores({}, clock), clock=clock)
    asyncio.run(source.run(take, lambda: say("rescan")))
