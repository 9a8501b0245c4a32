"""A whole state into another database: from a file to PostgreSQL, or back.

Used by `syncd state copy` and `syncd state rebuild`. Both databases are open, and no daemon works on the source. All
rows go through a temporary file, page by page, and into the target in one transaction: it holds everything afterwards,
or nothing. What is not copied are leases: nobody holds one.
"""

import hashlib
import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import IO, Any

from sqlalchemy import Connection, Integer, Select, Table, func, insert, select, text, tuple_

from syncd.domain.errors import ConfigError, Problem, Retryable
from syncd.state.database import shared
from syncd.state.schema import leases, metadata, schema_version, staged
from syncd.state.sql import SqlState

PAGE = 1_000
TABLES: tuple[Table, ...] = tuple(table for table in metadata.sorted_tables if table not in (schema_version, leases))
"""What is copied."""

_Row = tuple[Any, ...]
Step = Callable[[str], None]


async def copy_state(source: SqlState, target: SqlState, step: Step = lambda _: None) -> dict[str, int]:
    """Copy all rows; how many, by table. `step` is told of each table.

    ConfigError: the target is not empty. Rejected: it cannot hold what the source holds (NUL characters, on
    PostgreSQL). Retryable: it does not hold afterwards what was written to it, or it cannot be reached.
    """
    with tempfile.TemporaryFile() as spool:
        counts: dict[str, int] = {}
        digests: dict[str, str] = {}
        for table in TABLES:
            step(f"reading {table.name}")
            counts[table.name], digests[table.name] = await _spool(source, table, spool)
        last = await source.database.read(_last_seq)
        step(f"writing {sum(counts.values()):,} rows")
        await target.database.write(lambda connection: _write(connection, spool, last))
    for table in TABLES:
        step(f"comparing {table.name}")
        if (counts[table.name], digests[table.name]) != await _spool(target, table, None):
            raise Retryable(f"{table.name} is another in the copy than in the state it is of; empty it, and copy again")
    return counts


async def refuse_rows(state: SqlState) -> None:
    """ConfigError: it is not empty."""
    await state.database.read(_refuse_rows)


async def _spool(state: SqlState, table: Table, spool: IO[bytes] | None) -> tuple[int, str]:
    """Rows of a table, in the order of its key, into the file, and how many they are, with what tells them apart."""
    count, summed, after = 0, hashlib.sha256(), None
    while page := await state.database.read(partial(_page, table=table, after=after)):
        count += len(page)
        for row in page:
            summed.update(repr(row).encode())
        if spool is not None:
            pickle.dump((table.name, page), spool)
        after = _key_of(table, page[-1])
    return count, summed.hexdigest()


def _page(connection: Connection, table: Table, after: _Row | None) -> list[_Row]:
    key = list(table.primary_key.columns)
    rows: Select[Any] = select(*table.columns).order_by(*key).limit(PAGE)
    if after is not None:
        rows = rows.where(tuple_(*key) > tuple_(*after))
    return [tuple(row) for row in connection.execute(rows)]


def _key_of(table: Table, row: _Row) -> _Row:
    keyed = [column.name in table.primary_key.columns for column in table.columns]
    return tuple(value for value, is_key in zip(row, keyed, strict=True) if is_key)


# ---------------------------------------------------------------- into the target


def _write(connection: Connection, spool: IO[bytes], last: int) -> None:
    _refuse_rows(connection)
    for name, page in _spooled(spool):
        table = metadata.tables[name]
        names = [column.name for column in table.columns]
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in page])
    _number_on(connection, last)


def _spooled(spool: IO[bytes]) -> Iterator[tuple[str, Sequence[_Row]]]:
    """From the beginning: a transaction that was rolled back for another's sake is run again."""
    spool.seek(0)
    while True:
        try:
            yield pickle.load(spool)  # noqa: S301 - what was written a moment ago, to a file without a name
        except EOFError:
            return


def _refuse_rows(connection: Connection) -> None:
    for table in TABLES:
        if count := connection.execute(select(func.count()).select_from(table)).scalar_one():
            found = f"{count} rows in {table.name}"
            raise ConfigError([Problem("target", found, "an empty state; name another file, or make another database")])


# ---------------------------------------------------------------- numbers that are given once


def _last_seq(connection: Connection) -> int:
    """The last number that a staged change was given, also where it is no more."""
    newest = select(func.coalesce(func.max(staged.c.seq), 0))
    if shared(connection):
        given = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM staged_seq_seq")
    else:
        given = text("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'staged'")
    return max(int(connection.execute(one).scalar_one()) for one in (newest, given))


def _number_on(connection: Connection, last: int) -> None:
    """Rows that are made from now on get numbers behind those of the copied ones. SQLite sees to all but one itself."""
    if not shared(connection):
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'staged'"))
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('staged', :last)"), {"last": last})
        return
    for table in TABLES:
        for column in (c for c in table.primary_key.columns if isinstance(c.type, Integer)):
            newest = connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()
            used = max(newest, last if table is staged else 0)
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(select(func.setval(sequence, max(used, 1), used > 0)))
