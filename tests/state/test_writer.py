"""Grouped commits: many callers share one transaction, and none of them pays for another's failure."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from syncd.domain.errors import Rejected
from syncd.domain.model import Kind, Mark, Subject
from syncd.state import SqlState, open_state
from tests.clock import FakeClock


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SqlState]:
    store = await open_state(tmp_path / "state.db", FakeClock())
    yield store
    await store.close()


def task(n: int) -> Mark:
    return Mark(Subject(Kind.TASK, "pets", str(n)))


async def ids(state: SqlState) -> list[str]:
    return [c.subject.id for c in await state.claim(limit=10_000, lease=60)]


def statements(state: SqlState) -> list[str]:
    """The first words of all statements from now on."""
    seen: list[str] = []

    def note(_c: object, _u: object, statement: str, *_: object) -> None:
        seen.append(statement.split(maxsplit=1)[0])

    engine = state._database._engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)  # what goes to the driver itself is not among them
    event.listen(engine, "begin", lambda _: seen.append("BEGIN"))
    event.listen(engine, "commit", lambda _: seen.append("COMMIT"))
    return seen


async def test_concurrent_marks_share_one_commit_and_few_statements(state: SqlState) -> None:
    seen = statements(state)
    await asyncio.gather(*(state.mark([task(n)]) for n in range(400)))
    assert seen == ["BEGIN", "COMMIT"]
    assert await ids(state) == [str(n) for n in range(400)]
    del seen[:]
    await asyncio.gather(*(state.mark([task(n)]) for n in range(400)))
    assert seen == ["BEGIN", "SELECT", "INSERT", "COMMIT"]


async def test_an_operation_that_raises_fails_alone(state: SqlState) -> None:
    def guilty(_: Connection) -> None:
        raise ZeroDivisionError

    outcomes = await asyncio.gather(
        state.mark([task(1)]), state._write(guilty), state.put("a", "b"), state.mark([task(2)]), return_exceptions=True
    )
    assert [type(o) for o in outcomes] == [type(None), ZeroDivisionError, type(None), type(None)]
    assert await ids(state) == ["1", "2"]
    assert await state.get("a") == "b"


async def test_what_a_failed_operation_wrote_is_undone(state: SqlState) -> None:
    def guilty(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO cursors VALUES ('half', 'done')")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await state._write(guilty)
    assert await state.get("half") is None


async def test_a_bad_mark_does_not_fail_those_it_was_merged_with(state: SqlState) -> None:
    bad = Mark(Subject(Kind.TASK, "pets", "\ud800"))
    outcomes = await asyncio.gather(*(state.mark([m]) for m in (task(1), bad, task(2))), return_exceptions=True)
    assert [type(o) for o in outcomes] == [type(None), Rejected, type(None)]
    assert await ids(state) == ["1", "2"]


async def test_a_cancelled_caller_disturbs_nobody(state: SqlState) -> None:
    jobs = [asyncio.create_task(state.mark([task(n)])) for n in range(100)]
    await asyncio.sleep(0)
    for job in jobs[::2]:
        job.cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[1::2] == [None] * 50
    assert {type(o) for o in outcomes[::2]} == {asyncio.CancelledError}
    assert {str(n) for n in range(1, 100, 2)} <= set(await ids(state))


async def test_callers_cancelled_while_their_group_commits_disturb_nobody(state: SqlState) -> None:
    started, loop = asyncio.Event(), asyncio.get_running_loop()

    def slow(connection: Connection) -> None:
        loop.call_soon_threadsafe(started.set)
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM n"
        )

    doomed = asyncio.create_task(state._write(slow))
    marks = [asyncio.create_task(state.mark([task(n)])) for n in range(10)]
    await started.wait()
    doomed.cancel()
    marks[0].cancel()
    await asyncio.gather(*marks, doomed, return_exceptions=True)
    await state.mark([task(99)])
    assert set(await ids(state)) >= {str(n) for n in range(1, 10)} | {"99"}


async def test_closing_finishes_what_is_queued(tmp_path: Path) -> None:
    state = await open_state(tmp_path / "state.db", FakeClock())
    marks = [asyncio.create_task(state.mark([task(n)])) for n in range(1000)]
    await asyncio.sleep(0)
    await state.close()
    await asyncio.gather(*marks)
    again = await open_state(tmp_path / "state.db", FakeClock())
    assert len(await ids(again)) == 1000
    await again.close()


async def test_a_closed_store_takes_no_more(tmp_path: Path) -> None:
    state = await open_state(tmp_path / "state.db", FakeClock())
    await state.close()
    with pytest.raises(RuntimeError, match="closed"):
        await state.mark([task(1)])
