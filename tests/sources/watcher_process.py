"""A process that watches a folder; prints `rescan` when one is asked for, and the keys below `made unseen`."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from syncd.ports import Seen
from syncd.runtime.clock import SystemClock
from syncd.sources.folder import FolderOptions, FolderSource
from syncd.stores import open_store


async def take(seen: Sequence[Seen]) -> None:
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
    asyncio.run(
        FolderSource("photos", options, open_store=open_store, clock=SystemClock()).run(take, lambda: say("rescan"))
    )
