"""What the state store asks of its database, whichever it is, and the statements whose words differ by dialect.

`sqlite` and `postgres` are the two there are. Used by `access` and by the modules of statements.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, insert
from sqlalchemy.dialects import sqlite

from syncd.state import postgres_words

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Row = Mapping[str, Any]
_IN_LIST = 500  # parameters of one IN list


class Database(Protocol):
    """Where statements run. They are plain functions of a connection, and the same for both dialects.

    What fails is raised as Retryable, Rejected or ConfigError, and says what to do next.
    """

    async def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """What `work` returns; it sees what is committed."""
        ...

    async def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """What `work` returns, once it is durable. A cancelled caller disturbs nobody. `work` may run several times."""
        ...

    async def extend(self, work: Callable[[Connection, Sequence[_Item]], None], items: Sequence[_Item]) -> None:
        """As `write`, but `work` is called once with the items of all who call at that time."""
        ...

    async def close(self) -> None:
        """Finish what is under way, and let go. Idempotent."""
        ...


def shared(connection: Connection) -> bool:
    """Whether others may write while this transaction does: on PostgreSQL. SQLite has one writer at a time."""
    return connection.dialect.name == "postgresql"


def one_at_a_time(connection: Connection, what: str) -> None:
    """Until this transaction ends no other passes here for the same thing: what it reads stays as it is.

    For what is read first and then decided upon. Two transactions that take several must take them in one order.
    """
    if shared(connection):
        connection.execute(postgres_words.LOCK, {"what": what})


def among(connection: Connection, one: Column[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a column's value is one of these (see `chunks`)."""
    return postgres_words.among(one, values) if shared(connection) else one.in_(values)


def among_given(many: bool, one: Column[Any], name: str) -> ColumnElement[bool]:
    """`among` in a statement that is made once: the values are its parameter `name`. `many`: what `shared` says."""
    return postgres_words.among_given(one, name) if many else one.in_(bindparam(name, expanding=True))


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in parts short enough for `among`."""
    return (items[start : start + _IN_LIST] for start in range(0, len(items), _IN_LIST))


def upsert(connection: Connection, table: Table, by: tuple[str, ...], rows: Sequence[_Row]) -> None:
    """Insert the rows; where one with the same values in the columns `by` is there, update it instead.

    The last of several alike counts. PostgreSQL locks them in the order of `by`, whoever writes them.
    """
    if not rows:
        return
    if shared(connection):
        last = {tuple(row[name] for name in by): row for row in rows}
        postgres_words.upsert(connection, table, by, list(last.values()))
    else:
        words, values = _sqlite_words(table, by, tuple(rows[0]), changing=True)
        connection.exec_driver_sql(words, [values(row) for row in rows])


def add_missing(connection: Connection, table: Table, by: tuple[str, ...], rows: Sequence[_Row]) -> set[Any]:
    """Insert those of which there is none with the same values in the columns `by`; those values of the inserted."""
    if not rows:
        return set()
    if shared(connection):
        return postgres_words.add_missing(connection, table, by, rows)
    words, values = _sqlite_words(table, by, tuple(rows[0]), changing=False)
    cursor = connection.connection.cursor()  # SQLAlchemy can say how many were inserted, but not which
    return {itemgetter(*by)(row) for row in rows if cursor.execute(words, values(row)).rowcount}


@cache
def _sqlite_words(
    table: Table, by: tuple[str, ...], names: tuple[str, ...], *, changing: bool
) -> tuple[str, Callable[[_Row], tuple[Any, ...]]]:
    """An insert that changes a row that is there, or leaves it; and what takes the values of a row in their order.

    SQLAlchemy would convert each value by its type, a fifth of the time of a mark; those of our columns are SQLite's.
    """
    statement = sqlite.insert(table)
    changed = {name: statement.excluded[name] for name in names if name not in by}
    changing_it = statement.on_conflict_do_update(index_elements=by, set_=changed)
    leaving_it = statement.on_conflict_do_nothing(index_elements=by)
    made = (changing_it if changing else leaving_it).compile(dialect=sqlite.dialect(), column_keys=names)
    return str(made), itemgetter(*(made.positiontup or ()))


def add(connection: Connection, table: Table, rows: Sequence[_Row]) -> None:
    """Insert rows that are not there, numbered in their order."""
    if not rows:
        return
    if shared(connection):
        postgres_words.add(connection, table, rows)
    else:
        connection.execute(insert(table).inline(), rows)
