"""How the state store and its roles, which stand in modules of their own, reach the database."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from syncd.ports import Clock
from syncd.state.bell import Bell
from syncd.state.database import Database

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class Access:
    """An open database. `bell` is rung when a subject may have become due; times are those of `clock`."""

    def __init__(self, database: Database, clock: Clock, bell: Bell) -> None:
        self._database = database
        self._clock = clock
        self._bell = bell

    @property
    def database(self) -> Database:
        """Where statements run; for what is of no role, such as a copy of all rows."""
        return self._database

    async def _read(
        self,
        statement: Callable[Concatenate[Connection, _Args], _Result],
        *args: _Args.args,
        **kwargs: _Args.kwargs,
    ) -> _Result:
        return await self._database.read(lambda connection: statement(connection, *args, **kwargs))

    async def _write(
        self,
        statement: Callable[Concatenate[Connection, _Args], _Result],
        *args: _Args.args,
        **kwargs: _Args.kwargs,
    ) -> _Result:
        return await self._database.write(lambda connection: statement(connection, *args, **kwargs))
