"""The state store's database as one file: SQLite in WAL mode, for one daemon and commands beside it.

One thread writes, in grouped commits, and a few read, so the event loop never waits for the disk. Opened by `sql`.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic_core import PydanticSerializationError
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from syncd.domain.errors import ConfigError, Problem, Rejected, Retryable
from syncd.state import lock
from syncd.state.writer import Writer

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_READERS = 4  # reads at once; each has a connection and a thread
_WRITING = {"syncd_writing": True}  # of the connection that writes: its transactions begin with the write lock
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


class SqliteDatabase:
    """An open file. See `Database`."""

    def __init__(self, path: Path, engine: Engine, connection: Connection, life: ExitStack) -> None:
        self._path = path
        self._engine = engine
        self._connection = connection
        self._life = life
        self._readers = life.enter_context(ThreadPoolExecutor(_READERS, thread_name_prefix="state-reader"))
        self._thread = life.enter_context(ThreadPoolExecutor(1, thread_name_prefix="state-writer"))
        self._writer = Writer(self._commit)

    async def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """See `Database.read`."""

        def reading() -> _Result:
            with failures_named(self._path), self._engine.connect() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, reading)

    async def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """See `Database.write`."""
        return await self._writer.run(work)

    async def extend(self, work: Callable[[Connection, Sequence[_Item]], None], items: Sequence[_Item]) -> None:
        """See `Database.extend`."""
        await self._writer.extend(work, items)

    def _commit(self, work: Callable[[Connection], _Result]) -> asyncio.Future[_Result]:
        """A transaction in one go in the writer's thread: a thread change for each statement would cost more."""

        def committing() -> _Result:
            with failures_named(self._path), self._connection.begin():
                return work(self._connection)

        return asyncio.get_running_loop().run_in_executor(self._thread, committing)

    async def close(self) -> None:
        """See `Database.close`."""
        await self._writer.close()
        await asyncio.to_thread(self._life.close)


async def open_file(path: Path, prepare: Callable[[Connection], None], *, exclusive: bool) -> SqliteDatabase:
    """The database in a file, which is made where there is none; `prepare` runs in its first transaction.

    `exclusive`: held against all others who want it so, as long as it is open.
    """
    engine, connection, life = await asyncio.to_thread(_open, path, prepare, exclusive)
    return SqliteDatabase(path, engine, connection, life)


def _open(path: Path, prepare: Callable[[Connection], None], exclusive: bool) -> tuple[Engine, Connection, ExitStack]:
    """The engine, the connection of its writer, and what releases both."""
    with ExitStack() as stack, failures_named(path):
        if exclusive:
            stack.callback(os.close, lock.take(path))
        _create_file(path)
        engine = _engine(path)
        stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect()).execution_options(**_WRITING)
        with connection.begin():
            prepare(connection)
        return engine, connection, stack.pop_all()


def _create_file(path: Path) -> None:
    """Make sure the file is there and can be written; readable for its owner only (it holds webhook secrets)."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        found = f"{path}: {error.strerror}"
        raise ConfigError([Problem("state.url", found, "a file in an existing directory syncd may write to")]) from None


def _engine(path: Path) -> Engine:
    """An engine on the file whose connections are durable, patient with other processes, and begin as told."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"isolation_level": None}, hide_parameters=True)
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
    driver = connection.connection.cursor()  # a third of the time that SQLAlchemy takes for a statement
    driver.execute("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Turn the database's errors into what to do next; what is left is a bug."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _named(error, path) from error
    except (UnicodeEncodeError, PydanticSerializationError):
        raise Rejected("it holds text that is no valid Unicode and cannot be stored; rename the object") from None


def _named(error: DBAPIError | sqlite3.Error, path: Path) -> Exception:
    """SQLite's codes are extended: `SQLITE_IOERR_FSYNC` is an `SQLITE_IOERR`."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = "_".join(str(getattr(cause, "sqlite_errorname", "")).split("_")[:2])
    if code in _DAMAGED:
        hint = "an undamaged state file; stop syncd and run `syncd state rebuild`, which makes another and keeps this"
        return ConfigError([Problem("state.url", f"{path} is damaged, or no SQLite database", hint)])
    if code in _FAILED:
        problem, effect_possible = _FAILED[code]
        return Retryable(f"{path} {problem}", effect_possible=effect_possible)
    return error
