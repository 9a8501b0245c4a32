"""What `/readyz` promises: an event that comes now can be made durable."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from syncd.runtime.clock import SystemClock
from syncd.service.daemon import _ready
from syncd.state import open_state


async def test_each_answer_is_proven_by_a_write_of_its_own(tmp_path: Path) -> None:
    """SQLite skips a write of the value that is there, and a probe that writes nothing misses a full disk."""
    state = await open_state(tmp_path / "state.db", SystemClock())
    parts: Any = SimpleNamespace(state=state, clock=SystemClock())
    log = tmp_path / "state.db-wal"
    written = [log.stat().st_size]
    for _ in range(3):
        assert await _ready(parts) == ""
        written.append(log.stat().st_size)
    await state.close()
    assert sorted(set(written)) == written, "the log grew each time"
