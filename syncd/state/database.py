"""The database under the state store: where it is, how a connection is set up, and what its failures mean.

Everything that only one dialect has stands here: SQLite's pragmas and transactions, insert-or-update, and
error codes. Used by `sql`, the writer and the modules of statements.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import PydanticSerializationError
from sqlalchemy import URL, Connection, Engine, Insert, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable

_Item = TypeVar("_Item")

WRITING = {"syncd_writing": True}
"""Execution options of the connection that writes: it takes the write lock when its transaction begins."""

_INSERT: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_PRAGMAS = ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL")
_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
_FAILED = {  # what is wrong, and whether the transaction may have been committed all the same
    "SQLITE_BUSY": ("is locked by another process; end what holds it", False),
    "SQLITE_LOCKED": ("is locked by another process; end what holds it", False),
    "SQLITE_FULL": ("has no space left; free some on its disk", False),
    "SQLITE_READONLY": ("cannot be written; give syncd the permission", False),
    "SQLITE_CANTOPEN": ("cannot be opened; look at its directory", False),
    "SQLITE_IOERR": ("cannot be read or written; look at its disk", True),
}
_IN_LIST = 500  # parameters of one IN list


def state_file(place: str | Path) -> Path:
    """The database file that a path or a `sqlite:///` URL names; ConfigError for any other URL."""
    if isinstance(place, Path) or "://" not in place:
        return Path(place)
    try:
        url = make_url(place)
    except ArgumentError:
        raise ConfigError([Problem("state.url", "", "a path, or a URL sqlite:///PATH")]) from None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError([Problem("state.url", url.drivername, "a path, or a URL sqlite:///PATH")])
    return Path(url.database)


def create_file(path: Path) -> None:
    """Make sure the file is there and can be written; readable for its owner only (it holds webhook secrets)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        found = f"{path}: {error.strerror}"
        raise ConfigError([Problem("state.url", found, "a file in an existing directory syncd may write to")]) from None


def open_engine(path: Path) -> Engine:
    """An engine on the file whose connections are durable, patient with other processes, and begin as told."""
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"isolation_level": None})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get("syncd_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def upsert(connection: Connection, table: Table, by: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; where one with the same values in the columns `by` is there, update it instead."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, by, tuple(rows[0])), rows)


@cache
def _upsert(dialect: str, table: Table, by: tuple[str, ...], names: tuple[str, ...]) -> Insert:
    statement = _INSERT[dialect](table)
    changed = {name: statement.excluded[name] for name in names if name not in by}
    return statement.on_conflict_do_update(index_elements=by, set_=changed)


def chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in parts short enough for an IN list."""
    return (items[start : start + _IN_LIST] for start in range(0, len(items), _IN_LIST))


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Turn the database's errors into what to do next; what is left is a bug."""
    try:
        yield
    except DBAPIError as error:
        raise _named(error, path) from error
    except (UnicodeEncodeError, PydanticSerializationError):
        raise Rejected("it holds text that is no valid Unicode and cannot be stored; rename the object") from None


def _named(error: DBAPIError, path: Path) -> Exception:
    """SQLite's codes are extended: `SQLITE_IOERR_FSYNC` is an `SQLITE_IOERR`."""
    code = "_".join(str(getattr(error.orig, "sqlite_errorname", "")).split("_")[:2])
    if code in _DAMAGED:
        hint = "an undamaged state file; stop syncd, keep a copy, and repair: sqlite3 FILE .recover | sqlite3 NEW"
        return ConfigError([Problem("state.url", f"{path} is damaged, or no SQLite database", hint)])
    if code in _FAILED:
        problem, effect_possible = _FAILED[code]
        return Retryable(f"{path} {problem}", effect_possible=effect_possible)
    return error
