"""How rows are written on PostgreSQL: one statement and one round trip for any number of them.

The values of a column go as one array, so a statement's text never changes and is prepared once. Used by `database`
and, for what only processes that write side by side need, by the statements of subjects.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("what", type_=Text), 0)))
"""Waits until no other transaction holds the lock of that name; ends with the transaction."""

_Row = Mapping[str, Any]


def among(one: Column[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a column's value is one of these."""
    return one == any_(literal(list(values), ARRAY(_plain(one))))


def among_given(one: Column[Any], name: str) -> ColumnElement[bool]:
    """The same, of a parameter."""
    return one == any_(bindparam(name, type_=ARRAY(_plain(one))))


def upsert(connection: Connection, table: Table, by: tuple[str, ...], rows: Sequence[_Row]) -> None:
    """Insert or update, in the order of `by`; no two rows may be alike in it."""
    connection.execute(_upsert(table, by, tuple(rows[0])), _arrays(rows))


def add(connection: Connection, table: Table, rows: Sequence[_Row]) -> None:
    """Insert."""
    connection.execute(_insert(table, (), tuple(rows[0])), _arrays(rows))


def add_missing(connection: Connection, table: Table, by: tuple[str, ...], rows: Sequence[_Row]) -> set[Any]:
    """Insert those that nobody else has put in meanwhile; the values in `by` of those that were inserted."""
    if not rows:
        return set()
    return {tuple(row) for row in connection.execute(_add_missing(table, by, tuple(rows[0])), _arrays(rows))}


def _arrays(rows: Sequence[_Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@cache
def _upsert(table: Table, by: tuple[str, ...], names: tuple[str, ...]) -> postgresql.Insert:
    statement = _insert(table, by, names)
    changed = {name: statement.excluded[name] for name in names if name not in by}
    return statement.on_conflict_do_update(index_elements=by, set_=changed)


@cache
def _add_missing(table: Table, by: tuple[str, ...], names: tuple[str, ...]) -> Any:
    statement = _insert(table, by, names).on_conflict_do_nothing(index_elements=by)
    return statement.returning(*(table.c[name] for name in by))


@cache
def _insert(table: Table, by: tuple[str, ...], names: tuple[str, ...]) -> postgresql.Insert:
    rows = _given(table, names).subquery()
    ordered = select(rows).order_by(*(_bytewise(rows.c[name], table.c[name]) for name in by))
    return postgresql.insert(table).from_select(list(rows.c.keys()), ordered, include_defaults=False)


def _given(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """The rows of the arrays, numbered in the order they were given in, where the table numbers its rows."""
    arrays = (bindparam(name, type_=ARRAY(_plain(table.c[name]))) for name in names)
    columns = (column(name, _plain(table.c[name])) for name in names)
    given = func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
    serial = table.autoincrement_column
    numbers = [] if serial is None else [func.nextval(f"{table.name}_{serial.name}_seq").label(serial.name)]
    return select(*numbers, *given.c)


def _bytewise(value: ColumnElement[Any], like: Column[Any]) -> ColumnElement[Any]:
    return value.collate("C") if isinstance(like.type, Text) else value


def _plain(one: Column[Any]) -> TypeEngine[Any]:
    """A column's type without its collation, which an array's elements cannot have."""
    return Text() if isinstance(one.type, Text) else one.type
