"""What the tests of the state file run in processes of their own: `python -m tests.state.processes WHAT PATH`."""

import asyncio
import os
import sys
from pathlib import Path

from syncd.domain.model import Kind, Mark, Subject
from syncd.runtime.clock import SystemClock
from syncd.state import open_state


async def hold(path: Path) -> None:
    """Hold the file until stdin closes."""
    state = await open_state(path, SystemClock())
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await state.close()


async def die(path: Path) -> None:
    """Mark three tasks, claim one, put a cursor, and end without a goodbye."""
    state = await open_state(path, SystemClock())
    await state.mark([Mark(Subject(Kind.TASK, "pets", n)) for n in "123"])
    await state.claim(limit=1, lease=3600)
    await state.put("cursor", "7")
    os._exit(9)


if __name__ == "__main__":
    asyncio.run({"hold": hold, "die": die}[sys.argv[1]](Path(sys.argv[2])))
