"""The state store's database on a PostgreSQL server, for any number of daemons at once. Opened by `sql`.

Statements are the same plain functions as on SQLite: SQLAlchemy's asyncio engine runs them on the event loop, over
asyncpg. Each write is a transaction of its own, READ COMMITTED, on one of a few connections: what it reads before it
decides, it locks. Marks alone are gathered, for they come from many callers at once. A transaction that was rolled
back for another's sake, or whose connection was lost before it committed, is run again.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from syncd.state import postgres_engine
from syncd.state.postgres_errors import Interrupted, failures_named, is_orderly
from syncd.state.postgres_place import Place
from syncd.state.server_clock import ServerClock
from syncd.state.writer import Writer

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_TRIES = 5
# A process that is paused within a transaction keeps its rows for so long, and others wait for a row so long at most.
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; "
    "SET LOCAL idle_in_transaction_session_timeout = '10s'; SET LOCAL lock_timeout = '30s'"
)


class PostgresDatabase:
    """A server's database. See `Database`."""

    def __init__(self, place: Place, clock: ServerClock) -> None:
        self._place, self._name = place, place.name
        self._clock = clock
        self._engine = postgres_engine.pooled(place)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._writer = Writer(self._commit_group)
        self._closed = False

    async def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """See `Database.read`. Outside of a transaction: one round trip a statement."""
        return await self._finished(self._again(lambda: self._reading(work)))

    async def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """See `Database.write`."""
        return await self._finished(self._commit(work))

    async def extend(self, work: Callable[[Connection, Sequence[_Item]], None], items: Sequence[_Item]) -> None:
        """See `Database.extend`."""
        await self._writer.extend(work, items)

    async def notify(self, channel: str, payload: str) -> None:
        """Wake who listens on the channel. Best effort: Retryable where it cannot be done now."""
        async with _connected(self._engine, self._name) as (_, driver):
            await driver.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def own_connection(self) -> asyncpg.Connection:
        """A connection of the caller's own, to listen on; the caller closes it."""
        with failures_named(self._name):
            return await postgres_engine.connect(self._place)

    async def close(self) -> None:
        """See `Database.close`."""
        if not self._closed:
            self._closed = True
            await self._writer.close()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._engine.dispose()

    async def _finished(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What it returns. It is finished also when its caller is cancelled: half a talk would cost a connection."""
        if self._closed:
            work.close()
            raise RuntimeError("the state store is closed")
        return await asyncio.shield(self._job(work))

    def _job(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        job = asyncio.create_task(work)
        self._under_way.add(job)
        job.add_done_callback(self._under_way.discard)
        return job

    def _commit_group(self, work: Callable[[Connection], _Result]) -> asyncio.Task[_Result]:
        return self._job(self._commit(work))

    async def _commit(self, work: Callable[[Connection], _Result]) -> _Result:
        return await self._again(lambda: self._writing(work))

    async def _again(self, attempt: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        for _ in range(_TRIES - 1):
            try:
                return await attempt()
            except Interrupted:
                await asyncio.sleep(random.uniform(0.0, 0.05))  # noqa: S311 - parts those that collided
        return await attempt()

    async def _reading(self, work: Callable[[Connection], _Result]) -> _Result:
        async with _connected(self._engine, self._name) as (connection, _):
            return await connection.run_sync(work)

    async def _writing(self, work: Callable[[Connection], _Result]) -> _Result:
        async with _connected(self._engine, self._name) as (connection, driver):
            if self._clock.is_stale():
                await self._clock.set_by(driver)
            return await _transaction(connection, driver, work, self._name)


async def open_server(place: Place, prepare: Callable[[Connection], None], clock: ServerClock) -> PostgresDatabase:
    """The database of a URL; `prepare` runs in its first transaction, however long it takes, once the clock is set."""
    engine = postgres_engine.patient(place)
    try:
        async with _connected(engine, place.name) as (connection, driver):
            await clock.set_by(driver)
            await _transaction(connection, driver, prepare, place.name)
    finally:
        await engine.dispose()
    return PostgresDatabase(place, clock)


@asynccontextmanager
async def _connected(engine: AsyncEngine, name: str) -> AsyncIterator[tuple[AsyncConnection, asyncpg.Connection]]:
    """A connection, and the driver's own below it. One that is no longer sound does not go back to the others."""
    with failures_named(name):
        async with engine.connect() as connection:
            driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
            try:
                yield connection, driver
            except BaseException as error:
                if driver.is_closed() or driver.is_in_transaction() or not is_orderly(error):
                    driver.terminate()
                    await connection.invalidate()
                raise


async def _transaction(
    connection: AsyncConnection, driver: asyncpg.Connection, work: Callable[[Connection], _Result], name: str
) -> _Result:
    """What `work` returns, once it is committed. BEGIN and its settings go as one message."""
    await driver.execute(_BEGIN)
    try:
        result = await connection.run_sync(work)
    except Exception as error:
        if is_orderly(error) and not driver.is_closed():
            await driver.execute("ROLLBACK")
        raise
    with failures_named(name, committing=True):
        await driver.execute("COMMIT")
    return result
