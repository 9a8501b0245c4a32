"""The database's shape: what migrations make, what a newer program's file means, and which indexes are used."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from syncd.domain.errors import ConfigError
from syncd.domain.model import Kind, Mark, ObjectRef, Outcome, Settlement, StagedChange, Subject
from syncd.domain.notifications import BadEvent
from syncd.state import migrations, open_state, sql_deliveries, sql_quarantine, sql_records, sql_staging, sql_subjects
from syncd.state.migrations import MIGRATIONS, migrate
from syncd.state.schema import metadata
from tests.clock import FakeClock
from tests.contracts.test_state_store import attempt, delivery, record, row


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


def shape(connection: Connection) -> dict[str, Any]:
    """Columns, keys and indexes as SQLite reports them."""
    names = (
        connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").scalars().all()
    )
    return {name: (_rows(connection, f"table_xinfo({name})"), _indexes(connection, name)) for name in names}


def _rows(connection: Connection, pragma: str) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in connection.exec_driver_sql(f"PRAGMA {pragma}")]


def _indexes(connection: Connection, table: str) -> dict[str, Any]:
    return {
        name: (unique, origin, partial, _rows(connection, f"index_xinfo({name})"))
        for _, name, unique, origin, partial in _rows(connection, f"index_list({table})")
    }


def test_migrations_make_exactly_the_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        metadata.create_all(connection)
        wanted = shape(connection)
        assert len(wanted) >= 7
        metadata.drop_all(connection)
        migrate(connection)
        assert shape(connection) == wanted


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        migrate(connection)
        connection.exec_driver_sql("INSERT INTO cursors VALUES ('a', 'b')")
        migrate(connection)
        assert connection.exec_driver_sql("SELECT value FROM cursors").scalar() == "b"


async def test_an_older_database_takes_only_the_steps_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    state = await open_state(path, FakeClock())
    await state.put("a", "b")
    await state.close()
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE fresh (x TEXT)",)))
    for _ in range(2):
        newer = await open_state(path, FakeClock())
        assert await newer.get("a") == "b"
        assert "fresh" in await newer._read(shape)
        await newer.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    await (await open_state(path, FakeClock())).close()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE fresh (x TEXT)", "NONSENSE")))
        with pytest.raises(Exception, match="syntax error"):
            await open_state(path, FakeClock())
    state = await open_state(path, FakeClock())
    assert "fresh" not in await state._read(shape)
    await state.close()


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE fresh (x TEXT)",)))
        await (await open_state(path, FakeClock())).close()
    with pytest.raises(ConfigError, match="upgrade syncd"):
        await open_state(path, FakeClock())


def test_no_statement_of_the_hot_paths_scans_a_table(engine: Engine) -> None:
    """Cost follows the batch, also with a million subjects pending. An index of the dead alone may be scanned."""
    with engine.begin() as connection:
        migrate(connection)
        plans: dict[str, list[str]] = {}
        event.listen(connection, "before_cursor_execute", lambda *seen: _explain(plans, *seen))
        _hot_paths(connection)
    assert len(plans) > 15
    scans = {
        s: [p for p in plan if p.startswith("SCAN") and p.split()[1] in metadata.tables and "subjects_dead" not in p]
        for s, plan in plans.items()
    }
    assert not {statement: found for statement, found in scans.items() if found}


def test_the_backlog_is_counted_without_reading_a_row(engine: Engine) -> None:
    plans: dict[str, list[str]] = {}
    with engine.begin() as connection:
        migrate(connection)
        event.listen(connection, "before_cursor_execute", lambda *seen: _explain(plans, *seen))
        sql_subjects.backlog(connection, 3.0)
    ((_, plan),) = plans.items()
    used = {word for step in plan for word in step.split() if word.startswith("subjects_")}
    assert used >= {"subjects_ready", "subjects_waiting", "subjects_claimed", "subjects_dead"}


def _explain(plans: dict[str, list[str]], connection: Any, _: Any, statement: str, parameters: Any, *more: Any) -> None:
    if statement.startswith("EXPLAIN") or statement in plans:
        return
    plans[statement] = []
    first = parameters[0] if more[-1] else parameters
    found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", first)
    plans[statement] = [step[-1] for step in found]


def _hot_paths(connection: Connection) -> None:
    marks = [Mark(Subject(kind, "d", str(n))) for kind in Kind for n in range(3)]
    sql_subjects.mark(connection, marks, 1.0)
    claims = sql_subjects.claim(connection, 2, (), 2.0, 60.0)
    sql_subjects.renew(connection, claims, 60.0)
    sql_subjects.settle(connection, [Settlement(c, o) for c, o in zip(claims, Outcome, strict=False)], 3.0)
    sql_subjects.first_ready(connection)
    sql_subjects.dead_letters(connection, None)
    sql_subjects.backlog(connection, 3.0)
    sql_records.record(connection, [record("a", "1", dataset="d")], "m")
    sql_records.of_objects(connection, "d", [ObjectRef("s3://photos", "a")])
    sql_records.by_task(connection, "d", ["1"])
    sql_records.task_keys(connection, "d", ["key-1"])
    sql_records.object_page(connection, "d", "s3://photos", "")
    sql_records.version_page(connection, "d", "s3://photos", "", None)
    sql_records.version_page(connection, "d", "s3://photos", "a", "b")
    sql_subjects.prune_gone(connection, 1.0)
    sql_quarantine.keep(connection, "photos", [BadEvent("malformed", "", b"x")], 1.0)
    sql_quarantine.drop(connection, ["1"])
    sql_records.task_page(connection, "d", (-1, "", ""))
    sql_staging.stage(connection, "d", [StagedChange("1", "1", row("1")), StagedChange("2", "1", None)])
    sql_staging.of_tasks(connection, "d", ["1"])
    sql_staging.tasks_of(connection, "d", ["1"])
    sql_staging.committed(connection, "d", sql_staging.in_order(connection, "d", 10))
    sql_staging.count(connection, "d")
    sql_staging.get(connection, "c")
    sql_deliveries.announce(connection, [delivery()], "c", "v", 1.0)
    sql_deliveries.attempted(connection, delivery().id, attempt())
    sql_deliveries.redeliver(connection, [delivery().id], 1.0)
