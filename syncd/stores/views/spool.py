"""A table on disk that is gone with its owner, for sorting and joining what does not fit into memory. Used by `views`.

SQLite's own temporary database: a file without a name, in the system's folder for such. Every call runs in a thread,
one at a time.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

from syncd.domain.errors import Retryable

PAGE = 1_000

T = TypeVar("T")
Row = tuple[Any, ...]


class Spool:
    """One such database. `schema`: its statements. Retryable: the disk is full, or cannot be written."""

    def __init__(self, schema: str) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._connection.executescript(f"PRAGMA cache_size = -8192; {schema}")

    async def put(self, statement: str, rows: Iterable[Row]) -> None:
        """Run a statement for each row, in one transaction."""

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")

        await self.run(put)

    async def pages(self, query: str, after: bytes) -> AsyncGenerator[list[Row]]:
        """Pages of what a query finds. It takes the key behind which to begin and a limit; a row begins with its key.

        Each page is a query of its own, so others may write in between.
        """
        while page := await self.run(lambda c, at=after: c.execute(query, (at, PAGE)).fetchall()):  # type: ignore[misc]
            yield page
            after = page[-1][0]

    async def one(self, query: str, *values: Any) -> Row | None:
        """The first row that a query finds."""
        return await self.run(lambda connection: connection.execute(query, values).fetchone())

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the connection."""
        return await asyncio.to_thread(self._locked, work)

    def _locked(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._connection)
            except sqlite3.OperationalError as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise Retryable(
                    f"a temporary file could not be written ({error}); is there space in the folder?"
                ) from None

    def close(self) -> None:
        """Give the file back. Idempotent."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        """A view lives as long as its process; one that does not takes its file along."""
        self._connection.close()


@contextmanager
def spooling(schema: str) -> Iterator[Spool]:
    """A spool for as long as a listing runs."""
    spool = Spool(schema)
    try:
        yield spool
    finally:
        spool.close()
