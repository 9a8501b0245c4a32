"""How the state store reaches its database: reads in threads of their own, writes through the one writer.

The base of `SqlState` and of its roles that stand in modules of their own.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from syncd.state.bell import Bell
from syncd.state.database import failures_named
from syncd.state.writer import Writer

_READERS = 4  # reads at once; each has a connection and a thread
_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class Access:
    """An open database. `life` releases it; `bell` is rung when a subject may have become due."""

    def __init__(self, engine: Engine, writer: Writer, path: Path, life: ExitStack) -> None:
        self._engine = engine
        self._writer = writer
        self._path = path
        self._life = life
        self._bell = Bell()
        self._readers = life.enter_context(ThreadPoolExecutor(_READERS, thread_name_prefix="state-reader"))

    async def _read(
        self,
        statement: Callable[Concatenate[Connection, _Args], _Result],
        *args: _Args.args,
        **kwargs: _Args.kwargs,
    ) -> _Result:
        def read() -> _Result:
            with failures_named(self._path), self._engine.connect() as connection:
                return statement(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)

    async def _write(
        self,
        statement: Callable[Concatenate[Connection, _Args], _Result],
        *args: _Args.args,
        **kwargs: _Args.kwargs,
    ) -> _Result:
        return await self._writer.run(lambda connection: statement(connection, *args, **kwargs))
