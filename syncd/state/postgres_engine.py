"""How connections to PostgreSQL are made. Used by `postgres`; needs the extra `postgres`.

The URL is asyncpg's to read, so that all of libpq's parameters mean what they mean elsewhere: several hosts, `sslmode`,
`?host=/run/postgresql` for a Unix socket, PGPASSFILE.
"""

from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool

from syncd.domain.errors import ConfigError, Problem
from syncd.state.postgres_place import Place

_CONNECTIONS = 4  # kept open; as many more while they are needed
_CONNECT_S, _ANSWER_S = 10.0, 60.0  # longest wait for a connection, for an answer
_STATEMENTS = 500  # prepared ones, a connection
# Whatever the planner believes of a table that was empty a moment ago: every statement has its index.
_PLANNING = "SET enable_seqscan = off; SET jit = off"


def pooled(place: Place) -> AsyncEngine:
    """An engine that keeps a few connections. None waits for an answer for ever: a host may have vanished."""
    sizes = {"pool_size": _CONNECTIONS, "max_overflow": _CONNECTIONS, "pool_timeout": _ANSWER_S, "pool_use_lifo": True}
    engine = _engine(place, _ANSWER_S, poolclass=AsyncAdaptedQueuePool, **sizes)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def patient(place: Place) -> AsyncEngine:
    """An engine without a pool, whose statements may take as long as they do."""
    return _engine(place, None, poolclass=NullPool)


class PlainDialect(PGDialect_asyncpg):
    """Without the look-ups that every new connection is put through for types we have none of: JSON and addresses."""

    supports_statement_cache = True

    def on_connect(self) -> None:
        """Nothing is done."""


registry.register("postgresql.syncd", __name__, PlainDialect.__name__)


def _engine(place: Place, answer: float | None, **pool: Any) -> AsyncEngine:
    made = {"async_creator_fn": partial(connect, place, answer), "prepared_statement_cache_size": _STATEMENTS}
    return create_async_engine(
        "postgresql+syncd://", connect_args=made, isolation_level="AUTOCOMMIT", hide_parameters=True, **pool
    )


async def connect(place: Place, answer: float | None = None) -> asyncpg.Connection:
    """A connection of its own. `answer`: the longest wait for one, seconds. Raises what asyncpg does; ConfigError."""
    try:
        connection = await asyncpg.connect(
            place.dsn, timeout=_CONNECT_S, command_timeout=answer, statement_cache_size=0
        )
    except ValueError:  # of the address; asyncpg's own errors of this kind among them
        raise ConfigError([Problem("state.url", place.name, "a URL postgresql://USER@HOST:PORT/DATABASE")]) from None
    try:
        await connection.execute(_PLANNING)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _refuse_closed(_: DBAPIConnection, entry: ConnectionPoolEntry, __: Any) -> None:
    """One whose server went away while it lay in the pool is replaced before it is used."""
    driver: Any = entry.driver_connection
    if driver.is_closed():
        raise DisconnectionError
