"""The state file among processes, after crashes, and when something is wrong with it."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from syncd.domain.errors import ConfigError, Rejected, Retryable
from syncd.domain.model import Kind, Mark, Observation, Outcome, Settlement, Subject
from syncd.ports import Backlog
from syncd.runtime.clock import SystemClock
from syncd.state import holder_of, open_state, sqlite
from tests.clock import FakeClock

REPOSITORY = Path(__file__).parents[2]


def task(n: int) -> Mark:
    return Mark(Subject(Kind.TASK, "pets", str(n)))


def _process(what: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.state.processes", what, str(path)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextmanager
def held_by_another_process(path: Path) -> Iterator[int]:
    with _process("hold", path) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        yield process.pid
        process.communicate("")
    assert process.returncode == 0


async def test_a_second_daemon_is_refused_and_told_who_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with held_by_another_process(path) as pid:
        assert holder_of(path) == pid
        with pytest.raises(ConfigError) as refused:
            await open_state(path, FakeClock())
        for word in (str(path), f"process {pid}", "stop", "state.url"):
            assert word in str(refused.value)
    assert holder_of(path) is None
    await (await open_state(path, FakeClock())).close()


async def test_commands_read_and_write_beside_a_running_daemon(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with held_by_another_process(path):
        state = await open_state(path, FakeClock(), exclusive=False)
        await state.mark([task(1)])
        assert len(await state.backlog()) == 1
        await state.close()


def test_nobody_holds_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "state.db") is None


async def test_the_lock_ends_with_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    state = await open_state(url, FakeClock())
    assert holder_of(url) == os.getpid()
    await state.close()
    assert holder_of(url) is None


async def test_what_was_written_survives_a_crash_and_claims_of_the_dead_come_after_what_nobody_had(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    process = _process("die", path)
    process.communicate()
    assert process.returncode == 9
    beside = await open_state(path, SystemClock(), exclusive=False)
    assert [(b.pending, b.claimed) for b in await beside.backlog()] == [(2, 1)]
    await beside.close()
    state = await open_state(path, SystemClock())
    assert await state.get("cursor") == "7"
    assert [c.subject.id for c in await state.claim(limit=10, lease=60)] == ["2", "3", "1"]
    await state.close()


HOUR, DAY = 3600.0, 86_400.0


async def _left_by_a_clock_ahead(path: Path, ahead: float) -> FakeClock:
    """A state file with one subject that failed, one claimed, one waiting and one dead; and the clock set right."""
    state = await open_state(path, FakeClock(FakeClock().now() + ahead))
    await state.mark([task(n) for n in range(4)])
    failed, claimed, waiting, dead = await state.claim(limit=4, lease=HOUR)
    again = [Settlement(one, Outcome.AGAIN, delay=HOUR, failed=one is failed) for one in (failed, waiting)]
    await state.settle([*again, Settlement(dead, Outcome.DEAD)])
    assert claimed.token
    await state.close()
    return FakeClock()


async def test_a_clock_set_back_between_two_runs_holds_nothing_off(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    clock = await _left_by_a_clock_ahead(path, 30 * DAY)
    state = await open_state(path, clock)
    assert await state.backlog() == [Backlog(Kind.TASK, "pets", pending=3, claimed=0, dead=1, oldest=clock.now())]
    claims = await state.claim(limit=10, lease=60)
    assert [(c.subject.id, c.attempts, c.failing_since) for c in claims] == [
        ("0", 1, clock.now()),
        ("1", 0, None),
        ("2", 0, None),
    ]
    await state.close()


async def test_waits_of_less_than_a_day_outlive_a_restart_while_ages_are_never_negative(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    clock = await _left_by_a_clock_ahead(path, HOUR)
    state = await open_state(path, clock)
    assert await state.claim(limit=10, lease=60) == []
    (backlog,) = await state.backlog()
    assert backlog.oldest == clock.now()
    start = clock.now()
    clock.advance(2 * HOUR)
    claims = await state.claim(limit=10, lease=60)
    assert [(c.subject.id, c.failing_since) for c in claims] == [("1", None), ("0", start), ("2", None)]
    await state.close()


async def test_a_command_beside_the_daemon_leaves_its_times_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    clock = await _left_by_a_clock_ahead(path, 30 * DAY)
    beside = await open_state(path, clock, exclusive=False)
    assert await beside.claim(limit=10, lease=60) == []
    await beside.close()


async def test_marks_of_another_process_end_a_wait_within_a_second(tmp_path: Path) -> None:
    clock = FakeClock()
    daemon = await open_state(tmp_path / "state.db", clock)
    command = await open_state(tmp_path / "state.db", clock, exclusive=False)
    await daemon.mark([Mark(task(2).subject, delay=1800)])
    before = clock.now()
    await daemon.wait(3600)
    assert clock.now() - before <= 1.0
    await command.mark([task(1)])
    await daemon.wait(3600)
    assert clock.now() - before <= 1.0
    await daemon.close()
    await command.close()


async def test_commits_are_synchronous_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = await open_state(path, FakeClock())
    asked = {name: await state._read(_pragma, name) for name in ("journal_mode", "synchronous", "busy_timeout")}
    assert asked == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000}
    await state.mark([task(1)])
    files = [path, *(path.with_name(f"state.db{suffix}") for suffix in ("-wal", "-shm", ".lock"))]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await state.close()


def _pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.mark.parametrize("content", [b"this is no database, but a text " * 99, b"SQLite format 3\0" + b"\xff" * 8192])
async def test_a_damaged_file_is_refused_with_a_hint_how_to_repair_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="syncd state rebuild") as refused:
        await open_state(path, FakeClock())
    assert str(path) in str(refused.value)
    assert holder_of(path) is None
    assert path.read_bytes() == content


async def test_damage_found_later_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = await open_state(path, FakeClock())
    await state.mark([task(n) for n in range(5000)])
    await state.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
    with pytest.raises(ConfigError, match="syncd state rebuild"):
        await _work_through(path)


async def _work_through(path: Path) -> None:
    state = await open_state(path, FakeClock())
    try:
        await state.claim(limit=5000, lease=60)
    finally:
        await state.close()


async def test_a_locked_database_is_retryable_without_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_PRAGMAS", ("busy_timeout = 50", *sqlite._PRAGMAS[1:]))
    state = await open_state(tmp_path / "state.db", FakeClock())
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(*(state.mark([task(n)]) for n in range(3)), return_exceptions=True)
        for outcome in outcomes:
            assert isinstance(outcome, Retryable)
            assert not outcome.effect_possible
        assert await state.backlog() == [], "one can read while another process writes"
        other.execute("ROLLBACK")
    await state.mark([task(1)])
    assert [b.pending for b in await state.backlog()] == [1]
    await state.close()


async def test_a_full_disk_is_retryable_without_effect(tmp_path: Path) -> None:
    state = await open_state(tmp_path / "state.db", FakeClock())
    await state._write(_limit_pages)
    with pytest.raises(Retryable, match="no space") as full:
        await state.mark([task(n) for n in range(20_000)])
    assert not full.value.effect_possible
    assert await state.backlog() == []
    await state.mark([task(1)])
    assert [b.pending for b in await state.backlog()] == [1]
    await state.close()


def _limit_pages(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 200")


async def test_text_that_is_no_unicode_is_rejected(tmp_path: Path) -> None:
    state = await open_state(tmp_path / "state.db", FakeClock())
    subject = Subject(Kind.OBJECT, "pets", "file:///x \udcff")
    good = state.mark([task(1)])
    bad = state.mark([Mark(subject)])
    worse = state.mark([Mark(task(2).subject, Observation(1.0, etag="\udcff"))])
    outcomes = await asyncio.gather(good, bad, worse, return_exceptions=True)
    assert outcomes[0] is None
    assert [type(o) for o in outcomes[1:]] == [Rejected, Rejected]
    await state.close()


@pytest.mark.parametrize("place", ["sqlite://", "://", "mysql+x://u:secret@host", "/nowhere/at/all/state.db"])
@pytest.mark.parametrize("exclusive", [True, False])
async def test_places_that_cannot_work_are_refused_by_name(place: str, exclusive: bool) -> None:
    with pytest.raises(ConfigError, match=r"state\.url") as refused:
        await open_state(place, FakeClock(), exclusive=exclusive)
    assert "secret" not in str(refused.value)
