"""Which indexes the statements use: cost follows the batch, whatever else the database holds."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from syncd.domain.model import Kind, Mark, ObjectRef, Outcome, Settlement, StagedChange, Subject
from syncd.domain.notifications import BadEvent
from syncd.state import sql_deliveries, sql_lanes, sql_leases, sql_quarantine, sql_records, sql_staging, sql_subjects
from syncd.state.migrations import migrate
from syncd.state.schema import metadata
from tests.contracts.test_state_store import attempt, delivery, record, row


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


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
        sql_lanes.backlog(connection, 3.0)
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
    sql_lanes.first_ready(connection)
    sql_subjects.dead_letters(connection, None)
    sql_lanes.backlog(connection, 3.0)
    sql_records.record(connection, [record("a", "1", dataset="d")])
    sql_records.fulfil(connection, "m", [record("a", "1", dataset="d")], [])
    sql_leases.hold(connection, "reconcile d", "me", 1.0, 2.0)
    sql_leases.release(connection, "reconcile d", "me")
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
