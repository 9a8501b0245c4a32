"""A state is copied whole, to PostgreSQL and back: every row, and every number that is given once; or nothing."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from syncd.domain.errors import ConfigError, Rejected
from syncd.domain.model import Kind, Mark, ObjectRef, Observation, Record, StagedChange, Subject
from syncd.state import SqlState, open_state
from syncd.state.copying import TABLES, copy_state
from tests.clock import FakeClock
from tests.postgres import Postgres
from tests.snapshots.rows import row

HOSTILE = [
    "",
    " ",
    "a/b",
    "Ä🍏",
    "'; DROP TABLE records; --",
    "\u2028",
    "x" * 1024,
    "\x01\x7f",
    "%s",
    ":x",
    "{bytewise}",
]


async def fill(state: SqlState) -> None:
    """Rows in every table, by what syncd does and by hand."""
    await state.mark(
        [Mark(Subject(Kind.OBJECT, "photos", f"s3://b {key}"), Observation(1.5, "e", sequencer="1")) for key in HOSTILE]
    )
    await state.claim(limit=3, lease=60)
    await state.stage("photos", [StagedChange(str(n), str(n), row(str(n))) for n in range(2500)])
    await state.committed("photos", (await state.staged("photos", limit=2500))[1000:])
    await state.put("changed:photos", "2026")
    made = [Record("photos", ObjectRef("s3://b", key), f"k{n}", str(n), "e") for n, key in enumerate(HOSTILE)]
    await state.record(made)
    await state.database.write(_by_hand)


def _by_hand(connection: Connection) -> None:
    """A row of plain values in each table that has none yet."""
    plain: dict[type, Any] = {str: "ü", int: 2**40, float: 1 / 3, bytes: b"\0\xff"}
    for table in TABLES:
        if connection.execute(select(table.columns[0]).limit(1)).first() is None:
            values = {c.name: plain[c.type.python_type] for c in table.columns if not c.nullable and not c.primary_key}
            values |= {c.name: "name" for c in table.columns if c.primary_key and c.type.python_type is str}
            values |= {c.name: 1 for c in table.columns if str(c.type) == "INTEGER" and not c.primary_key}
            connection.execute(insert(table), [values])


async def rows_of(state: SqlState) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that is copied, in the order of its key."""

    def read(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: [tuple(one) for one in connection.execute(select(*table.columns).order_by(*table.primary_key))]
            for table in TABLES
        }

    return await state.database.read(read)


async def test_there_and_back_again_every_row_is_the_same(tmp_path: Path, postgres: Postgres) -> None:
    clock = FakeClock()
    first = await open_state(tmp_path / "first.db", clock)
    await fill(first)
    before = await rows_of(first)
    assert all(before.values()), "no table is left out"
    server = await open_state(postgres.fresh(), clock, virtual=True)
    counts = await copy_state(first, server)
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert await rows_of(server) == before
    again = await open_state(tmp_path / "again.db", clock)
    await copy_state(server, again)
    assert await rows_of(again) == before
    for state in (first, server, again):
        await state.close()


async def test_the_copy_works_on_with_numbers_that_were_never_given(tmp_path: Path, postgres: Postgres) -> None:
    clock = FakeClock()
    first = await open_state(tmp_path / "first.db", clock)
    await first.stage("photos", [StagedChange(str(n), "1", row(str(n))) for n in range(5)])
    staged = await first.staged("photos", limit=5)
    await first.committed("photos", staged)
    server = await open_state(postgres.fresh(), clock, virtual=True)
    await copy_state(first, server)
    await server.stage("photos", [StagedChange("new", "1", row("new"))])
    (new,) = await server.staged("photos", limit=5)
    assert new.seq > max(change.seq for change in staged)
    await server.mark([Mark(Subject(Kind.OBJECT, "photos", "s3://b x"))])
    back = await open_state(tmp_path / "back.db", clock)
    await copy_state(server, back)
    await back.stage("photos", [StagedChange("newer", "1", row("newer"))])
    assert (await back.staged("photos", limit=5))[-1].seq > new.seq
    for state in (first, server, back):
        await state.close()


async def test_what_the_target_holds_is_never_mixed_with_it(tmp_path: Path) -> None:
    clock = FakeClock()
    source = await open_state(tmp_path / "source.db", clock)
    target = await open_state(tmp_path / "target.db", clock)
    await source.put("a", "1")
    await target.put("b", "2")
    with pytest.raises(ConfigError, match="1 rows in cursors"):
        await copy_state(source, target)
    assert (await target.get("a"), await target.get("b")) == (None, "2")
    await source.close()
    await target.close()


async def test_what_postgresql_cannot_hold_leaves_it_empty(tmp_path: Path, postgres: Postgres) -> None:
    clock = FakeClock()
    source = await open_state(tmp_path / "source.db", clock)
    target = await open_state(postgres.fresh(), clock, virtual=True)
    await source.put("a", "1")
    await source.mark([Mark(Subject(Kind.OBJECT, "photos", "s3://b \0"))])
    with pytest.raises(Rejected):
        await copy_state(source, target)
    assert await target.get("a") is None
    await source.close()
    await target.close()
